"""Types and shapes checked in every call, at a tenth of what jaxtyping's own wrapper takes.

jaxtyping's hook has every function and dataclass of the package decorated (`--jaxtyping-packages`, pyproject.toml). Its
decorator compiles two checks for each while modules are imported, binds arguments by name at every call and checks
them twice, for the words of its errors: two fifths of the processor time of all tests. The one below lets beartype
check each argument and the result once, in one scope of the shapes' names as jaxtyping documents it, and only
compiles that for functions that are called.
"""

from __future__ import annotations

import inspect
import types
import typing
from collections import Counter
from functools import wraps
from typing import Any

import beartype
import jaxtyping
from jaxtyping._storage import pop_shape_memo, push_shape_memo

CLOSURES_CHECKED = 3
"""Of a function within a function, which is a new one whenever the outer one is called."""
_jaxtyped = jaxtyping.jaxtyped
_violation = beartype.beartype(conf=beartype.BeartypeConf(violation_type=TypeError))
_made: Counter[types.CodeType] = Counter()


def install() -> None:
    """Take the place of `jaxtyping.jaxtyped`, before any module is imported that the hook instruments."""
    jaxtyping.jaxtyped = checked  # type: ignore[assignment]


def checked(fn: Any = None, *, typechecker: Any = None) -> Any:
    """Decorator of functions and dataclasses: a TypeError for a value that is not of its type or shape."""
    if fn is None:
        return lambda fn: checked(fn, typechecker=typechecker)
    if isinstance(fn, classmethod | staticmethod):
        return type(fn)(checked(fn.__func__))
    if isinstance(fn, property):
        return property(*(part and checked(part) for part in (fn.fget, fn.fset, fn.fdel)))
    if inspect.isclass(fn):
        if "__init__" in vars(fn) and "__dataclass_fields__" in vars(fn):
            fn.__init__ = checked(fn.__init__)
        return fn
    if not isinstance(fn, types.FunctionType) or not fn.__annotations__:
        return fn
    if inspect.iscoroutinefunction(fn) or inspect.isgeneratorfunction(fn) or inspect.isasyncgenfunction(fn):
        return _jaxtyped(fn, typechecker=_violation)
    if "<locals>" in fn.__qualname__:
        _made[fn.__code__] += 1
        if _made[fn.__code__] > CLOSURES_CHECKED:
            return fn
    return _when_called(fn)


def _when_called(fn: types.FunctionType) -> Any:
    check: Any = None

    @wraps(fn)
    def first(*args: Any, **kwargs: Any) -> Any:
        __tracebackhide__ = True
        nonlocal check
        if check is None:
            check = _compiled(fn)
        return check(*args, **kwargs)

    return first


def _compiled(fn: types.FunctionType) -> Any:
    """The function with its checks; in a scope of its own for names of sizes, where it speaks of arrays."""
    hints = _hints(fn)
    twin = types.FunctionType(fn.__code__, fn.__globals__, fn.__name__, fn.__defaults__, fn.__closure__)
    twin.__kwdefaults__, twin.__qualname__, twin.__module__ = fn.__kwdefaults__, fn.__qualname__, fn.__module__
    twin.__annotations__ = hints
    inner = _violation(twin)
    if not any(_has_arrays(hint) for hint in hints.values()):
        return inner

    def scoped(*args: Any, **kwargs: Any) -> Any:
        __tracebackhide__ = True
        push_shape_memo({})
        try:
            return inner(*args, **kwargs)
        finally:
            pop_shape_memo()

    return scoped


def _hints(fn: types.FunctionType) -> dict[str, Any]:
    """Annotations as types; what only a type checker can resolve is anything."""
    try:
        return typing.get_type_hints(fn, include_extras=True)
    except Exception:
        found = {}
        for name, hint in fn.__annotations__.items():
            alone = types.SimpleNamespace(__annotations__={name: hint})
            try:
                found |= typing.get_type_hints(alone, fn.__globals__, include_extras=True)
            except Exception:
                found[name] = Any
        return found


def _has_arrays(hint: Any) -> bool:
    if inspect.isclass(hint) and issubclass(hint, jaxtyping.AbstractArray):
        return True
    return any(_has_arrays(part) for part in typing.get_args(hint))

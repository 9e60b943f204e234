"""Small faults put into a module's source, one at a time."""

from __future__ import annotations

import ast
import copy
import random
from collections.abc import Iterator
from dataclasses import dataclass

COMPARED: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt, ast.Eq: ast.NotEq, ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot, ast.IsNot: ast.Is, ast.In: ast.NotIn, ast.NotIn: ast.In,
}  # fmt: skip
COMPUTED: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult, ast.FloorDiv: ast.Mult,
    ast.Mod: ast.Mult, ast.Pow: ast.Mult, ast.BitAnd: ast.BitOr, ast.BitOr: ast.BitAnd, ast.MatMult: ast.Mult,
    ast.LShift: ast.RShift, ast.RShift: ast.LShift,
}  # fmt: skip


@dataclass(frozen=True)
class Mutant:
    """One fault."""

    tree: ast.Module
    """The module as it is, its nodes numbered."""
    node: ast.AST
    """What is replaced."""
    other: ast.AST
    """By what."""

    @property
    def line(self) -> int:
        """Line of the module, from 1."""
        return self.node.lineno  # type: ignore[attr-defined]

    @property
    def source(self) -> str:
        """The whole module with the fault in it."""
        changed = _Replace(self.node.index, self.other).visit(copy.deepcopy(self.tree))  # type: ignore[attr-defined]
        return ast.unparse(ast.fix_missing_locations(changed))

    @property
    def words(self) -> tuple[str, str]:
        """What stands there and what takes its place, shortened."""
        return _short(self.node), _short(self.other)


def mutants(source: str, lines: set[int] | None = None) -> list[Mutant]:
    """Every fault that this module can be given, in the order of its lines.

    `lines`: only there, where given. Annotations, docstrings, decorators, texts and what only a type checker
    sees are left as they are: no test could tell.
    """
    tree = ast.parse(source)
    found = []
    for index, node in enumerate(ast.walk(tree)):
        node.index = index  # type: ignore[attr-defined]
    for node in _code(tree):
        if lines is not None and node.lineno not in lines:
            continue
        found += [Mutant(tree, node, other) for other in _others(node)]
    return sorted(found, key=lambda mutant: mutant.line)


def drawn(all_of_them: list[Mutant], count: int, seed: int) -> list[Mutant]:
    """At most so many, drawn by chance and in the order of their lines."""
    rng = random.Random(seed)
    chosen = sorted(rng.sample(range(len(all_of_them)), min(count, len(all_of_them))))
    return [all_of_them[i] for i in chosen]


def _code(node: ast.AST) -> Iterator[ast.AST]:
    """What runs and can be told apart by its effect, from the outside in."""
    for name, value in ast.iter_fields(node):
        if name in {"annotation", "returns", "decorator_list", "type_params"}:
            continue
        for child in value if isinstance(value, list) else [value]:
            if not isinstance(child, ast.AST) or _unseen(child):
                continue
            if hasattr(child, "lineno"):
                yield child
            yield from _code(child)


def _unseen(node: ast.AST) -> bool:
    """Docstrings and texts; imports for a type checker; what an error says."""
    if isinstance(node, ast.If):
        return "TYPE_CHECKING" in ast.unparse(node.test)
    return isinstance(node, (ast.JoinedStr, ast.Raise, ast.Import, ast.ImportFrom, ast.Assert)) or (
        isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    )


def _others(node: ast.AST) -> Iterator[ast.AST]:
    """What may stand in a node's place."""
    if isinstance(node, ast.Compare) and len(node.ops) == 1 and type(node.ops[0]) in COMPARED:
        yield ast.Compare(node.left, [COMPARED[type(node.ops[0])]()], node.comparators)
    elif isinstance(node, ast.BinOp) and type(node.op) in COMPUTED and not _text(node.left) and not _text(node.right):
        yield ast.BinOp(node.left, COMPUTED[type(node.op)](), node.right)
    elif isinstance(node, ast.BoolOp):
        yield ast.BoolOp(ast.Or() if isinstance(node.op, ast.And) else ast.And(), node.values)
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, (ast.Not, ast.USub)):
        yield node.operand
    elif isinstance(node, ast.IfExp):
        yield ast.IfExp(node.test, node.orelse, node.body)
    elif isinstance(node, (ast.If, ast.While)):
        changed = copy.copy(node)
        changed.test = ast.UnaryOp(ast.Not(), node.test)
        yield changed
    elif isinstance(node, ast.Constant):
        yield from _constants(node.value)
    elif isinstance(node, ast.Return) and node.value is not None and not _none(node.value):
        yield ast.Return(ast.Constant(None))
    elif isinstance(node, ast.AugAssign) and type(node.op) in COMPUTED:
        yield ast.AugAssign(node.target, COMPUTED[type(node.op)](), node.value)
    elif isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
        yield ast.Pass()


def _constants(value: object) -> Iterator[ast.AST]:
    if isinstance(value, bool):
        yield ast.Constant(not value)
    elif isinstance(value, int):
        yield ast.Constant(value + 1)
    elif isinstance(value, float):
        yield ast.Constant(1.5 * value if value else 1.0)


def _text(node: ast.AST) -> bool:
    return isinstance(node, ast.JoinedStr) or (isinstance(node, ast.Constant) and isinstance(node.value, str))


def _none(node: ast.AST) -> bool:
    return isinstance(node, ast.Constant) and node.value is None


def _short(node: ast.AST) -> str:
    """The first line, of at most 80 characters."""
    text = ast.unparse(ast.fix_missing_locations(copy.deepcopy(node))).partition("\n")[0]
    return text if len(text) <= 80 else text[:77] + "..."


class _Replace(ast.NodeTransformer):
    def __init__(self, index: int, other: ast.AST):
        self.index, self.other = index, other

    def visit(self, node: ast.AST) -> ast.AST:
        if getattr(node, "index", None) == self.index:
            return ast.copy_location(copy.deepcopy(self.other), node)
        return self.generic_visit(node)

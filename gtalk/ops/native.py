"""The compiled extension, where there is one.

`gtalk._C` registers its operators with torch under `torch.ops.gtalk`; they are chosen by the device of
their tensors. Without it, the plain torch references of `gtalk.ops.reference` do the same work slowly.
"""

from __future__ import annotations

import warnings

try:
    from gtalk import _C  # type: ignore[attr-defined]  # noqa: F401

    BUILT, WHY_NOT = True, ""
except ImportError as error:
    BUILT, WHY_NOT = False, str(error)

_warned: list[str] = []


def available() -> bool:
    """Whether the compiled operators can be used; the first "no" warns, later ones are silent."""
    if not BUILT and not _warned:
        _warned.append(WHY_NOT)
        warnings.warn(
            f"gtalk._C is not there ({WHY_NOT}): plain torch is used, many times slower. "
            "Build it with `pip install --no-build-isolation --no-deps -e .`",
            RuntimeWarning,
            stacklevel=3,
        )
    return BUILT

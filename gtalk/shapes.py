"""Array shape annotations: jaxtyping where it is installed, plain types where it is not.

A GPU machine that only fits and renders needs torch, numpy, OpenCV and safetensors; jaxtyping is a
core dependency of the package, but its absence there must not stop an import.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from jaxtyping import Bool, Float, Int, Shaped, UInt8
else:
    try:
        from jaxtyping import Bool, Float, Int, Shaped, UInt8
    except ImportError:

        class _Plain:
            def __class_getitem__(cls, item):
                return item[0]

        Bool = Float = Int = Shaped = UInt8 = _Plain

__all__ = ["Bool", "Float", "Int", "Shaped", "UInt8"]

"""A QR code (ISO/IEC 18004) of a short address: byte mode, error correction level L, versions 1 to 6."""

from __future__ import annotations

import re

import numpy as np

from gtalk.errors import UserError
from gtalk.shapes import Bool

_BLOCKS = ((19, 7, 1), (34, 10, 1), (55, 15, 1), (80, 20, 1), (108, 26, 1), (68, 18, 2))
"""Of each version: data bytes of a block, its correction bytes, how many blocks (table 9)."""
_ALIGNED = (None, 18, 22, 26, 30, 34)
"""Centre of the alignment pattern of each version (annex E)."""
_QUIET = 4  # modules of margin
_MASKS = (
    lambda y, x: (y + x) % 2 == 0, lambda y, x: y % 2 == 0, lambda y, x: x % 3 == 0, lambda y, x: (y + x) % 3 == 0,
    lambda y, x: (y // 2 + x // 3) % 2 == 0, lambda y, x: y * x % 2 + y * x % 3 == 0,
    lambda y, x: (y * x % 2 + y * x % 3) % 2 == 0, lambda y, x: ((y + x) % 2 + y * x % 3) % 2 == 0,
)  # fmt: skip


def qr_modules(text: str) -> Bool[np.ndarray, "N N"]:
    """The dark modules of a code, without margin. Raises UserError for a text of more than 134 bytes."""
    data = text.encode()
    version = next((v for v, (size, _, blocks) in enumerate(_BLOCKS) if len(data) + 2 <= size * blocks), None)
    if version is None:
        raise UserError("address", expected="at most 134 bytes", got=str(len(data)), remedy="Type it by hand.")
    grid, fixed = _patterns(version)
    _fill(grid, fixed, _codewords(data, version))
    y, x = np.indices(grid.shape)
    drawn = [_with_format(grid ^ (mask(y, x) & ~fixed), number) for number, mask in enumerate(_MASKS)]
    return min(drawn, key=_penalty)


def qr_svg(text: str) -> str:
    """The code as an SVG picture with its margin, black on white."""
    modules = qr_modules(text)
    side = len(modules) + 2 * _QUIET
    path = "".join(f"M{x + _QUIET} {y + _QUIET}h1v1h-1z" for y, x in np.argwhere(modules))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {side} {side}" shape-rendering="crispEdges">'
        f'<rect width="{side}" height="{side}" fill="#fff"/><path d="{path}"/></svg>'
    )


def _codewords(data: bytes, version: int) -> list[int]:
    """Data and correction of all blocks, interleaved."""
    size, n_correction, blocks = _BLOCKS[version]
    bits = "0100" + f"{len(data):08b}" + "".join(f"{byte:08b}" for byte in data) + "0000"
    words = [int(bits[i : i + 8].ljust(8, "0"), 2) for i in range(0, len(bits), 8)][: size * blocks]
    words += [(0xEC, 0x11)[i % 2] for i in range(size * blocks - len(words))]
    parts = [words[i * size : (i + 1) * size] for i in range(blocks)]
    corrections = [_correction(part, n_correction) for part in parts]
    return [word for group in (parts, corrections) for column in zip(*group, strict=True) for word in column]


def _times(a: int, b: int) -> int:
    """Product in GF(256) over x^8 + x^4 + x^3 + x^2 + 1."""
    product = 0
    while b:
        product ^= a if b & 1 else 0
        a, b = (a << 1) ^ (0x11D if a & 0x80 else 0), b >> 1
    return product


def _correction(words: list[int], count: int) -> list[int]:
    """Remainder of the message by the Reed-Solomon generator."""
    generator, root = [1], 1
    for _ in range(count):
        generator = [a ^ _times(b, root) for a, b in zip([*generator, 0], [0, *generator], strict=True)]
        root = _times(root, 2)
    rest = [*words, *[0] * count]
    for i in range(len(words)):
        for j, factor in enumerate(generator):
            rest[i + j] ^= _times(factor, rest[i]) if j else 0
    return rest[-count:]


def _patterns(version: int) -> tuple[np.ndarray, np.ndarray]:
    """(modules, where they are fixed) of an empty code."""
    n = 21 + 4 * version
    grid, fixed = np.zeros((n, n), bool), np.zeros((n, n), bool)
    grid[6, ::2] = grid[::2, 6] = True
    fixed[6] = fixed[:, 6] = True
    for top, left in ((0, 0), (0, n - 7), (n - 7, 0)):
        rows, columns = slice(max(0, top - 1), top + 8), slice(max(0, left - 1), left + 8)
        grid[rows, columns], fixed[rows, columns] = False, True
        _square(grid, top + 3, left + 3, (3, 1))
    fixed[:9, :9] = fixed[:9, n - 8 :] = fixed[n - 8 :, :9] = True  # and the format's place
    grid[n - 8, 8] = True
    if (centre := _ALIGNED[version]) is not None:
        fixed[centre - 2 : centre + 3, centre - 2 : centre + 3] = True
        _square(grid, centre, centre, (2, 0))
    return grid, fixed


def _square(grid: np.ndarray, y: int, x: int, dark: tuple[int, int]) -> None:
    """A ring of this radius, and a filled middle."""
    (ring, middle), (rows, columns) = dark, np.indices((7, 7)) - 3
    away = np.maximum(abs(rows), abs(columns))
    for dy, dx in np.argwhere(away <= ring) - 3:
        radius = max(abs(dy), abs(dx))
        grid[y + dy, x + dx] = radius == ring or radius <= middle


def _fill(grid: np.ndarray, fixed: np.ndarray, words: list[int]) -> None:
    """Bits along the columns in pairs, from the right, up and down in turn."""
    bits = iter([bool(word >> (7 - i) & 1) for word in words for i in range(8)])
    n, up = len(grid), True
    for right in range(n - 1, 0, -2):
        column = right - 1 if right <= 6 else right  # the timing column is passed over
        for y in range(n - 1, -1, -1) if up else range(n):
            for x in (column, column - 1):
                if not fixed[y, x]:
                    grid[y, x] = next(bits, False)
        up = not up


def _with_format(grid: np.ndarray, mask: int) -> np.ndarray:
    """With the two copies of level and mask (annex C)."""
    n, out = len(grid), grid.copy()
    value = rest = (0b01 << 3 | mask) << 10
    for i in range(4, -1, -1):
        rest ^= 0x537 << i if rest >> (i + 10) & 1 else 0
    bits = [bool(((value | rest) ^ 0x5412) >> i & 1) for i in range(15)]
    first = [*((i, 8) for i in (0, 1, 2, 3, 4, 5, 7, 8)), *((8, x) for x in (7, 5, 4, 3, 2, 1, 0))]
    second = [*((8, n - 1 - i) for i in range(8)), *((n - 7 + i, 8) for i in range(7))]
    for places in (first, second):
        for (y, x), bit in zip(places, bits, strict=True):
            out[y, x] = bit
    return out


def _penalty(grid: np.ndarray) -> float:
    """How hard a code is to find and read: runs, blocks, what looks like a corner, dark against light (7.8.3)."""
    total = 200 * abs(float(grid.mean()) - 0.5)
    last = len(grid) - 1
    beside = [grid[dy : last + dy, dx : last + dx] == grid[:last, :last] for dy, dx in ((0, 1), (1, 0), (1, 1))]
    total += 3 * float(np.all(beside, axis=0).sum())
    for line in (*grid, *grid.T):
        text = "".join("#" if dark else "." for dark in line)
        total += sum(len(run) - 2 for run in re.findall(r"#{5,}|\.{5,}", text))
        total += 40 * len(re.findall(r"(?=#\.###\.#\.{4}|\.{4}#\.###\.#)", text))
    return total

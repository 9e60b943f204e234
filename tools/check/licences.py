"""Under which terms everything comes that gtalk installs: reads the installed packages, writes THIRD_PARTY.md.

    python tools/check/licences.py            # writes THIRD_PARTY.md beside the README
    python tools/check/licences.py --check    # status 1 where it is out of date or something is not allowed

The default chain is what `make demo` installs: the dependencies of pyproject.toml and of its extra `prepare`,
and theirs. Wheels also carry native libraries whose terms no metadata tells: they are found by their file
names and looked up here; one that is not known here is a fault.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import re
import sys
import tomllib
from dataclasses import dataclass
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[2]
OUTPUT = ROOT / "THIRD_PARTY.md"
LEFT_OUT = {"jax", "jaxlib", "opencv-contrib-python", "sentencepiece"}
"""What mediapipe asks for and gtalk neither installs nor needs."""
BY_HAND = {
    "gsplat": "Apache-2.0",
    "matplotlib": "PSF-2.0",
    "numpy": "BSD-3-Clause",
    "scipy": "BSD-3-Clause",
    "cycler": "BSD-3-Clause",
    "kiwisolver": "BSD-3-Clause",
    "espeakng-loader": "MIT (espeak-ng itself: GPL-3.0-or-later)",
}
"""Packages whose metadata names no licence, or quotes it whole."""
NATIVE = {
    "avcodec|avformat|avutil|avfilter|avdevice|swscale|swresample": (
        "FFmpeg", "LGPL-3.0-or-later or LGPL-2.1-or-later"),
    "x264": ("x264", "GPL-2.0-or-later, or commercial"),
    "x265": ("x265", "GPL-2.0-or-later, or commercial"),
    "SvtAv1Enc": ("SVT-AV1", "BSD-3-Clause-Clear"),
    "dav1d": ("dav1d", "BSD-2-Clause"),
    "vpx": ("libvpx", "BSD-3-Clause"),
    "webp|webpmux|webpdemux|sharpyuv": ("libwebp", "BSD-3-Clause"),
    "opus": ("Opus", "BSD-3-Clause"),
    "mp3lame": ("LAME", "LGPL-2.0-or-later"),
    "opencore-amrnb|opencore-amrwb": ("OpenCORE AMR", "Apache-2.0"),
    "gnutls": ("GnuTLS", "LGPL-2.1-or-later"),
    "nettle|hogweed": ("Nettle", "LGPL-3.0-or-later or GPL-2.0-or-later"),
    "gmp": ("GMP", "LGPL-3.0-or-later or GPL-2.0-or-later"),
    "unistring": ("libunistring", "LGPL-3.0-or-later or GPL-2.0-or-later"),
    "asound": ("ALSA", "LGPL-2.1-or-later"),
    "vpl": ("oneVPL", "MIT"),
    "drm|Xau|xcb|xcb-shape|xcb-shm|xcb-xfixes": ("X.Org, libdrm", "MIT"),
    "EGL|GLESv2|GLdispatch": ("libglvnd", "MIT"),
    "gfortran|quadmath|gomp": ("GCC runtime", "GPL-3.0-or-later with the GCC runtime exception"),
    "openblas|openblas64_p|scipy_openblas": ("OpenBLAS", "BSD-3-Clause"),
    "crypto|ssl": ("OpenSSL", "Apache-2.0 or OpenSSL"),
    "png16": ("libpng", "libpng-2.0"),
    "jpeg": ("libjpeg-turbo", "IJG and BSD-3-Clause"),
    "avif|tiff|openjp2|lcms2|lzma|zstd|brotlicommon|brotlidec|freetype|harfbuzz": (
        "image formats and fonts of Pillow", "BSD, MIT, 0BSD, FTL"),
    "sndfile_x86_64|sndfile": ("libsndfile", "LGPL-2.1-or-later"),
    "espeak-ng": ("espeak-ng", "GPL-3.0-or-later"),
    "llvmlite": ("LLVM", "Apache-2.0 with LLVM exception"),
}  # fmt: skip
GPL_PARTS = {("av", "x264"), ("av", "x265")}
"""Native parts under the GPL alone that the default chain holds: said in THIRD_PARTY.md, and no other may come."""
NOT_ALLOWED = re.compile(
    r"non-?commercial|research (only|purposes)|CC-BY-NC|\bNC\b|AGPL|proprietary|SSPL", re.IGNORECASE
)
MODELS = (
    ("FaceMesh with irises, SelfieSegmentation", "in mediapipe's wheel", "Apache-2.0"),
    ("English acoustic model", "in pocketsphinx's wheel", "BSD-2-Clause"),
    ("face_landmarker.task", "optional, `gtalk assets get`", "Apache-2.0"),
    ("SyncNet, LPIPS, face parsing", "optional, brought by the user as files", "theirs"),
    ("demo person: clip, truth, speech", "in data/demo, made by tools/demo_person", "Apache-2.0, as gtalk"),
)
NOTE = """\
`av` (PyAV) is BSD-3-Clause. Its wheel carries FFmpeg, configured with `--enable-version3` and without
`--enable-gpl` (`av._core.library_meta` says LGPL version 3 or later), and beside it, as shared libraries that
libavcodec is linked to, **x264 and x265, which are GPL-2.0-or-later** (or commercial, from their owners).
gtalk contains none of this and passes none of it on: it is installed from the package index by the user. Who passes
on a bundle of gtalk *with* that wheel has to keep to the GPL for those parts, or builds PyAV against an
FFmpeg without them; then `--codec vp9` and `prores4444` remain, which need no GPL part. H.264 and H.265 are also
covered by patents in some countries. No other part of the default chain is under the GPL alone, and none
excludes commercial use; `tests/tools/check/test_licences.py` keeps it so.

`espeakng-loader` (extra `speech`, and the tests) carries espeak-ng, which is GPL-3.0-or-later. It is not part
of the default chain: without it the viewer speaks no typed text, and nothing else changes.
"""


@dataclass(frozen=True)
class Part:
    """A package, or a native library inside one."""

    package: str
    name: str
    licence: str


def packages(names: list[str]) -> dict[str, importlib.metadata.Distribution]:
    """Installed packages that these need, with themselves, by canonical name. Markers and extras are honoured.

    Raises PackageNotFoundError for one that is needed and not installed.
    """
    found: dict[str, importlib.metadata.Distribution] = {}
    todo = [Requirement(name) for name in names]
    while todo:
        wanted = todo.pop()
        name = canonicalize_name(wanted.name)
        if name in LEFT_OUT or (name in found and not wanted.extras):
            continue
        found[name] = importlib.metadata.distribution(wanted.name)
        for text in found[name].requires or []:
            inner = Requirement(text)
            if inner.marker is None or any(inner.marker.evaluate({"extra": e}) for e in ("", *wanted.extras)):
                todo.append(inner)
    return found


def default_chain() -> dict[str, importlib.metadata.Distribution]:
    """What `make demo` installs, gtalk itself left out."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return packages([*project["dependencies"], *project["optional-dependencies"]["prepare"]])


def licence_of(distribution: importlib.metadata.Distribution) -> str:
    """A package's licence in a few words; empty where neither its metadata nor BY_HAND says."""
    name = canonicalize_name(distribution.metadata["Name"])
    if name in BY_HAND:
        return BY_HAND[name]
    metadata = distribution.metadata
    if expression := metadata.get("License-Expression"):
        return expression
    classified = [
        c.rpartition("::")[2].strip() for c in metadata.get_all("Classifier") or [] if c.startswith("License")
    ]
    classified = [c for c in classified if c != "OSI Approved"]
    text = (metadata.get("License") or "").strip()
    return ", ".join(classified) or (text if "\n" not in text and len(text) < 80 else "")


def native_parts(distribution: importlib.metadata.Distribution) -> list[Part]:
    """Shared libraries that a wheel carries for others' code: those that auditwheel named, and known ones."""
    name, parts = canonicalize_name(distribution.metadata["Name"]), {}
    for file in distribution.files or []:
        match = re.match(r"(?:lib)?([\w+-]+?)(?:-r0)?(?:-[0-9a-f]{8})*\.(?:.*\.)?so", file.name)
        vendored = any(place.endswith(".libs") for place in file.parts[:-1]) or "_soundfile_data" in file.parts
        vendored |= "espeakng_loader" in file.parts
        if not match or not vendored or "cpython" in file.name:
            continue
        known = next((v for k, v in NATIVE.items() if re.fullmatch(k, match[1])), (match[1], ""))
        parts[known[0]] = Part(name, *known)
    return sorted(parts.values(), key=lambda part: part.name.lower())


def is_gpl_alone(licence: str) -> bool:
    """Whether the GPL is the only way to use something, with no exception for who links to it."""
    gpl = re.search(r"(?<!L)GPL|GNU General Public", licence)
    return bool(gpl) and not re.search(r"LGPL|exception", licence, re.IGNORECASE)


def problems() -> list[str]:
    """Everything in the default chain that has unknown terms, forbids commerce, or is under the GPL alone."""
    found = []
    for name, distribution in default_chain().items():
        licence = licence_of(distribution)
        if not licence:
            found.append(f"{name}: no licence known")
        elif NOT_ALLOWED.search(licence) or is_gpl_alone(licence):
            found.append(f"{name}: {licence}")
        for part in native_parts(distribution):
            if not part.licence:
                found.append(f"{name}: the native library {part.name} is not known")
            elif is_gpl_alone(part.licence) and (part.package, part.name) not in GPL_PARTS:
                found.append(f"{name}: {part.name} is {part.licence}")
    return found


def page() -> str:
    """THIRD_PARTY.md. Versions are left out, so that it changes only when a part comes or goes."""
    chain = dict(sorted(default_chain().items()))
    lines = ["# What gtalk stands on, and under which terms", "", "Made by `python tools/check/licences.py`.", ""]
    lines += ["## Packages that `make demo` installs", "", "| package | licence |", "|---|---|"]
    lines += [f"| {name} | {licence_of(distribution)} |" for name, distribution in chain.items()]
    lines += ["", "## Native libraries inside their wheels", "", "| library | in | licence |", "|---|---|---|"]
    lines += [f"| {p.name} | {p.package} | {p.licence} |" for d in chain.values() for p in native_parts(d)]
    lines += ["", "## Models and data", "", "| what | where | licence |", "|---|---|---|"]
    lines += [f"| {what} | {where} | {licence} |" for what, where, licence in MODELS]
    lines += ["", "## What to know", "", NOTE]
    return "\n".join(lines)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="write nothing; status 1 when something is wrong")
    options = parser.parse_args()
    wrong = problems()
    if not options.check:
        OUTPUT.write_text(page(), encoding="utf-8")
    elif not OUTPUT.is_file() or OUTPUT.read_text(encoding="utf-8") != page():
        wrong.append("THIRD_PARTY.md is out of date: run tools/check/licences.py")
    print("\n".join(wrong) or f"{len(default_chain())} packages, none that forbids anything")
    return int(bool(wrong))


if __name__ == "__main__":
    sys.exit(main())

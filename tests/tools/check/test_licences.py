"""The default chain as it is installed: nothing that excludes commerce, nothing under the GPL that is not told."""

import importlib.metadata
from pathlib import Path

import pytest

from tools.check import licences

ROOT = Path(__file__).parents[2]


def test_the_default_chain_holds_nothing_that_is_not_allowed() -> None:
    assert licences.problems() == []
    names = set(licences.default_chain())
    assert {"torch", "numpy", "av", "mediapipe", "pocketsphinx", "pyworld", "viser", "gsplat"} <= names
    assert not names & {"espeakng-loader", "transformers", "ray", "c2pa-python", "gtalk"}


def test_make_demo_installs_nothing_beyond_that_chain() -> None:
    chain, recipe = set(licences.default_chain()), (ROOT / "Makefile").read_text()
    recipe = recipe[recipe.index("$(VENV)/.packages:") : recipe.index("$(VENV)/.runtime:")]
    lines = [line.strip().removesuffix("\\") for line in recipe.splitlines() if "INSTALL" in line or "    " in line]
    named = {word.lower() for line in lines for word in line.split() if word[0].isalpha()}
    assert {"mediapipe", "pyworld", "scipy"} <= named
    assert named - {"touch", "test", "no-deps", "pyyaml", "wheel"} <= chain | {"setuptools"}


def test_the_table_has_every_part_and_says_what_the_video_wheel_holds() -> None:
    text = (ROOT / "THIRD_PARTY.md").read_text()
    rows = [line for line in licences.page().splitlines() if line.startswith("| ")]
    assert [row for row in rows if row not in text] == [], "run tools/check/licences.py"
    assert "x264 and x265, which are GPL-2.0-or-later" in text
    inside = {part.name for part in licences.native_parts(importlib.metadata.distribution("av"))}
    assert {"FFmpeg", "x264", "x265"} <= inside


def test_espeak_is_known_to_be_under_the_gpl() -> None:
    distribution = importlib.metadata.distribution("espeakng-loader")
    (part,) = licences.native_parts(distribution)
    assert licences.is_gpl_alone(part.licence)


@pytest.mark.parametrize(
    ("licence", "alone"),
    [
        ("GPL-2.0-or-later", True),
        ("GNU General Public License v3 (GPLv3)", True),
        ("LGPL-2.1-or-later", False),
        ("GPL-3.0-or-later with the GCC runtime exception", False),
        ("LGPL-3.0-or-later or GPL-2.0-or-later", False),
        ("BSD-3-Clause", False),
    ],
)
def test_what_is_gpl_alone(licence: str, alone: bool) -> None:
    assert licences.is_gpl_alone(licence) is alone


@pytest.mark.parametrize("licence", ["CC-BY-NC-4.0", "Free for non-commercial use", "For research purposes only"])
def test_what_excludes_commerce_is_seen(licence: str) -> None:
    assert licences.NOT_ALLOWED.search(licence)

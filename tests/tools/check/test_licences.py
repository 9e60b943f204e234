"""The default chain as it is installed: nothing that excludes commerce, nothing under the GPL that is not told."""

import importlib.metadata
import re
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from tools.check import licences
from tools.make import lock

ROOT = Path(__file__).parents[3]


def version(blocks: list[str]) -> str:
    """What a lock's entry asks for: `name==version`, with its marker."""
    return blocks[0].partition("\\")[0].strip()


def locked(name: str) -> set[str]:
    """Names that a lock file installs here."""
    found = lock.entries((ROOT / "requirements" / name).read_text())
    needs = [Requirement(version(blocks)) for blocks in found.values()]
    return {need.name for need in needs if need.marker is None or need.marker.evaluate()}


def test_the_default_chain_holds_nothing_that_is_not_allowed() -> None:
    assert licences.problems() == []
    names = set(licences.default_chain())
    assert {"torch", "numpy", "av", "mediapipe", "pocketsphinx", "librosa", "viser", "gsplat"} <= names
    assert not names & {"espeakng-loader", "transformers", "ray", "c2pa-python", "gtalk"}


def test_make_demo_installs_that_chain_and_nothing_else() -> None:
    assert locked("run.lock") | {"torch"} == set(licences.default_chain())
    assert locked("run.lock") < locked("dev.lock")


def test_the_locks_are_exact_and_hashed_and_agree() -> None:
    for name in ("run.lock", "dev.lock"):
        text = (ROOT / "requirements" / name).read_text()
        assert all(blocks == blocks[:1] and "--hash=sha256:" in blocks[0] for blocks in lock.entries(text).values())
        assert "://" not in text and not re.search(r"^-", text, re.MULTILINE)  # no host, no file of one machine
    run, dev = (lock.entries((ROOT / "requirements" / name).read_text()) for name in ("run.lock", "dev.lock"))
    assert {name: version(blocks) for name, blocks in run.items()} == {name: version(dev[name]) for name in run}
    assert re.search(r"^torch==[\d.]+$", (ROOT / "requirements" / "torch.txt").read_text(), re.MULTILINE)


def test_the_table_has_every_part_and_says_what_the_video_wheel_holds() -> None:
    """By name: how a package words its licence may change with its version, and `make lock` renews the table then."""
    text = (ROOT / "THIRD_PARTY.md").read_text()
    chain = licences.default_chain()
    assert [name for name in chain if f"\n| {name} | " not in text] == [], "run tools/check/licences.py"
    parts = [part for distribution in chain.values() for part in licences.native_parts(distribution)]
    assert [part for part in parts if f"\n| {part.name} | {part.package} | " not in text] == []
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

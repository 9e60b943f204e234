"""Clips in, a table out: what is kept, what fails alone, and what the file says."""

import json
from pathlib import Path
from typing import Any

import pytest

from gtalk.avatar.base import Consent
from gtalk.benchmark import run as module
from gtalk.benchmark.config import BenchmarkConfig
from gtalk.benchmark.report import COLUMNS, SCHEMA, means_of, row_of, table
from gtalk.benchmark.run import benchmark, clips_of
from gtalk.errors import UserError

CONSENT = Consent("Speakers", "They agree to be measured.")


def evaluation(psnr: float, leakage: float | None = None) -> dict[str, Any]:
    picture = {name: {"psnr": psnr - i, "ssim": 0.9} for i, name in enumerate(("full", "head", "mouth"))}
    return {
        "self_driven": {**picture, "flicker": 1.2}, "audio_driven_images": picture,
        "audio_driven": {"lmd_ratio": 0.6, "aperture_corr": 0.8, "silence_leakage": leakage},
        "speed": {"fit_s": 60.0}, "clip": {"n_scored": 161}, "avatar": {"kind": "gaussian"},
    }  # fmt: skip


@pytest.fixture
def made(monkeypatch, tmp_path: Path) -> list[str]:
    """Clips that are made into avatars in no time; what was evaluated."""
    done: list[str] = []

    def make_avatar(clips, output, consent, *, renderer, dataset, **_: object) -> None:
        if clips[0].stem == "empty":
            raise UserError("clip empty.mp4", expected="a face", got="none", remedy="Use another.")
        output.mkdir(parents=True, exist_ok=True)
        if not (output / "motion.json").is_file():
            (output / "motion.json").write_text("{}")
        assert dataset == output.parent / "dataset" and consent is CONSENT

    def evaluate(avatar, dataset, config, on_progress) -> dict[str, Any]:
        done.append(f"{avatar.parent.name}/{avatar.name}")
        return evaluation(30.0 if avatar.parent.name == "ada" else 34.0)

    monkeypatch.setattr(module, "make_avatar", make_avatar)
    monkeypatch.setattr(module, "evaluate", evaluate)
    for name in ("ada.mp4", "ben.MOV", "empty.mp4", "notes.txt"):
        (tmp_path / name).write_bytes(name.encode())
    return done


def test_each_clip_is_a_row_and_what_is_done_is_kept(made: list[str], tmp_path: Path) -> None:
    out = tmp_path / "out"
    told = benchmark([tmp_path], out, CONSENT, BenchmarkConfig(("gaussian", "radiance")))
    assert [(r["clip"], r["renderer"], bool(r["error"])) for r in told["rows"]] == [
        ("ada", "gaussian", False), ("ada", "radiance", False), ("ben", "gaussian", False), ("ben", "radiance", False),
        ("empty", "gaussian", True), ("empty", "radiance", True),
    ]  # fmt: skip
    assert told["means"]["gaussian"]["self_full_db"] == 32.0 and told["means"]["radiance"]["lips_r"] == 0.8
    assert json.loads((out / "benchmark.json").read_text()) == told
    assert "a face" in (out / "benchmark.md").read_text()
    assert made == ["ada/gaussian", "ada/radiance", "ben/gaussian", "ben/radiance"]
    again = benchmark([tmp_path], out, CONSENT, BenchmarkConfig(("gaussian", "radiance")))
    assert again == told and len(made) == 4


def test_the_file_is_what_its_schema_says(made: list[str], tmp_path: Path) -> None:
    told = benchmark([tmp_path / "ada.mp4"], tmp_path / "out", CONSENT)
    assert set(SCHEMA["required"]) <= told.keys() == SCHEMA["properties"].keys()
    allowed = SCHEMA["properties"]["rows"]["items"]
    for row in told["rows"]:
        assert set(allowed["required"]) <= row.keys() <= allowed["properties"].keys()
        for name in COLUMNS:
            assert row[name] is None or isinstance(row[name], float)
    assert json.loads((tmp_path / "out" / "benchmark.schema.json").read_text()) == SCHEMA


def test_what_could_not_be_measured_counts_in_no_mean() -> None:
    rows = [row_of(name, "", "gaussian", evaluation(30.0, leak)) for name, leak in (("a", None), ("b", 0.25))]
    assert rows[0]["silence_leakage"] is None and rows[0]["peers_protocol_db"] is None
    means = means_of(rows)["gaussian"]
    assert means["silence_leakage"] == 0.25 and "peers_protocol_db" not in means
    assert "| a | gaussian | 30.00 | 29.00 | 28.00 |" in table(rows, {"gaussian": means})


def test_clips_need_names_of_their_own(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="nothing there"):
        clips_of([tmp_path / "none"])
    with pytest.raises(UserError, match="none"):
        clips_of([tmp_path])
    for name in ("a.mp4", "a.mov"):
        (tmp_path / name).touch()
    with pytest.raises(UserError, match="a name of its own"):
        clips_of([tmp_path])
    with pytest.raises(UserError, match="renderers"):
        BenchmarkConfig(("voxels",))

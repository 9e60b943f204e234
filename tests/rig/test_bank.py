"""Expressions learned from a take."""

import numpy as np
import pytest

from gtalk.errors import UserError
from gtalk.rig.bank import Span, learn, load_bank, read_labels, save_bank
from gtalk.rig.expression import named, parse
from gtalk.rig.person import PersonRig
from gtalk.rig.shapes import ARKIT, neutral
from gtalk.topology import LANDMARKS68
from gtalk.types import Motion


@pytest.fixture(scope="module")
def rig() -> PersonRig:
    return PersonRig.of_mesh(neutral())


def take(rig: PersonRig, *parts: tuple[str, float], seconds: float = 4.0) -> Motion:
    """Named expressions one after the other, each eased in and out."""
    count = round(25 * seconds)
    ease = np.clip(np.minimum(np.arange(count), np.arange(count)[::-1]) / 10.0, 0, 1)
    weights = np.concatenate([ease[:, None] * named(name, size).vector() for name, size in parts])
    rng = np.random.default_rng(2)
    landmarks = rig.neutral[LANDMARKS68] + np.tensordot(weights, rig.shapes68, 1)
    landmarks += 1e-4 * rng.normal(size=landmarks.shape)
    zeros, poses = np.zeros((len(weights), 2)), np.tile(np.eye(4), (len(weights), 1, 1))
    return Motion(25.0, landmarks, zeros + 1, zeros, zeros, poses, np.ones(len(weights), bool))


PARTS = (("neutral", 1.0), ("smile", 1.0), ("neutral", 1.0), ("kiss", 1.0), ("brows up", 1.0), ("smile", 1.0))


def test_labelled(rig, tmp_path) -> None:
    path = tmp_path / "labels.csv"
    rows = ["start_s,end_s,name", "0.5,3.5,neutral", "4.5,7.5,Grin", "12.5,15.5,kiss", "20.5,23.5,grin"]
    path.write_text("\n".join(rows))
    found = learn(take(rig, *PARTS), rig, read_labels(path))
    assert [row.name for row in found] == ["grin", "kiss"]
    smile, kiss = (dict(zip(ARKIT, row.weights, strict=True)) for row in found)
    assert smile["mouthSmileLeft"] == pytest.approx(0.75, abs=0.15) and smile["mouthPucker"] < 0.1
    assert kiss["mouthPucker"] > 0.6 and kiss["mouthSmileLeft"] < 0.1
    assert 148 <= found[0].frames <= 154 and 112 <= found[0].best_frame % 400 <= 190
    save_bank(tmp_path / "expressions.yaml", found, "take.mp4")
    bank = load_bank(tmp_path)
    assert list(bank) == ["grin", "kiss"] and "take.mp4" in bank["grin"].says
    assert parse("grin:0.5", bank).weights["mouthSmileLeft"] == pytest.approx(smile["mouthSmileLeft"] / 2, abs=2e-3)
    assert parse("grin").weights["mouthSmileLeft"] == 1.0  # without the bank: the package's own


def test_found_by_what_the_face_does(rig) -> None:
    found = learn(take(rig, *PARTS), rig)
    tops = [ARKIT[int(row.weights.argmax())] for row in found]
    assert len(found) == 3 and tops[0].startswith("mouthSmile") and tops[1] == "mouthPucker"
    assert tops[2].startswith("brow")
    assert [row.name for row in found] == ["expression 1", "expression 2", "expression 3"]


def test_a_take_that_shows_nothing_is_an_error(rig) -> None:
    with pytest.raises(UserError, match="one expression only"):
        learn(take(rig, ("neutral", 1.0), ("neutral", 1.0)), rig)
    motion = take(rig, *PARTS)
    with pytest.raises(UserError, match="a face in 0 of 600 frames"):
        learn(motion.replace(valid=np.zeros(600, bool)), rig)
    with pytest.raises(UserError, match=r"one expression only \(smile\)"):
        learn(motion, rig, [Span(4.5, 7.5, "smile")])
    with pytest.raises(UserError, match=r"0 frames with a face in 90-95 s \(angry\)"):
        learn(motion, rig, [Span(0.5, 3.5, "neutral"), Span(90.0, 95.0, "angry")])


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "no column end_s, name, start_s"),
        ("start_s,name\n1,a\n", "no column end_s"),
        ("start_s,end_s,name\n", "no rows"),
        ("start_s,end_s,name\n5,4,sad\n", "the row 5,4,sad"),
        ("start_s,end_s,name\n1,two,sad\n", "two"),
        ("start_s,end_s,name\n1,2,\n", "the row 1,2,"),
    ],
)
def test_labels_with_an_error_say_where(tmp_path, text: str, complaint: str) -> None:
    (tmp_path / "labels.csv").write_text(text)
    with pytest.raises(UserError, match=complaint):
        read_labels(tmp_path / "labels.csv")


def test_no_bank_is_an_empty_one(tmp_path) -> None:
    assert load_bank(tmp_path) == {}
    (tmp_path / "expressions.yaml").write_text("grin: 3")
    with pytest.raises(UserError, match=r"expressions\.yaml"):
        load_bank(tmp_path)

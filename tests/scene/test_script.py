from pathlib import Path

import numpy as np
import pytest

from gtalk.errors import UserError
from gtalk.hearing.turns import Turn
from gtalk.media.audio import write_wav
from gtalk.scene.script import read_scene, scene_of
from gtalk.scene.voices import voices_of
from gtalk.types import AUDIO_RATE, AudioTrack
from tests.speech.voices import vowel


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two voices that take turns, a silent file, one sound of both, and its turns."""
    here = tmp_path_factory.mktemp("scene")
    (here / "ann").mkdir()
    (here / "bob").mkdir()
    silence = np.zeros(2 * AUDIO_RATE, np.float32)
    speech = np.concatenate([vowel("a", 0.9), vowel("e", 1.1)])
    first, second = np.concatenate([speech, silence, silence]), np.concatenate([silence, silence, speech])
    for name, samples in (("a", first), ("b", second), ("silent", 0 * first), ("both", first + second)):
        write_wav(here / f"{name}.wav", AudioTrack(samples.astype(np.float32)))
    import soundfile

    soundfile.write(here / "stereo.wav", np.stack([first + 0.1 * second, second + 0.1 * first], 1), AUDIO_RATE)
    (here / "t.rttm").write_text(
        "SPEAKER t 1 0.250 1.500 <NA> <NA> ann <NA>\nSPEAKER t 1 1.500 0.500 <NA> <NA> guest <NA>\n"
        "SPEAKER t 1 4.125 1.375 <NA> <NA> bob <NA>\n"
    )
    return here


def scene(folder: Path, ann: dict | None = None, bob: dict | None = None, **more):
    cast = [{"name": "ann", "avatar": "ann", **(ann or {})}, {"name": "bob", "avatar": "bob", **(bob or {})}]
    return scene_of({"version": 1, "cast": cast, **more}, folder)


def said(voices, name: str) -> np.ndarray:
    return np.concatenate(list(voices.pieces[name]()))


@pytest.mark.parametrize("kind", ["files", "channels"])
def test_turns_of_tracks(folder, kind) -> None:
    if kind == "files":
        voices = voices_of(scene(folder, {"voice": "a.wav"}, {"voice": "b.wav"}))
    else:
        voices = voices_of(scene(folder, {"channel": 1}, {"channel": 2}, sound="stereo.wav"))
    assert [turn.speaker for turn in voices.turns][0::9] == ["ann"] and {t.speaker for t in voices.turns} == {
        "ann",
        "bob",
    }
    ann, bob = said(voices, "ann"), said(voices, "bob")
    assert len(ann) == len(bob) == round(voices.duration_s * AUDIO_RATE)
    assert not ann[3 * AUDIO_RATE :].any() and not bob[: 3 * AUDIO_RATE].any(), "what bleeds over moves nobody's lips"
    assert ann[:AUDIO_RATE].any() and bob[5 * AUDIO_RATE :].any() and not voices.notes


def test_turns_of_an_rttm_are_exact(folder) -> None:
    voices = voices_of(scene(folder, sound="both.wav", turns="t.rttm"))
    assert voices.turns == [Turn("ann", 0.25, 1.5), Turn("guest", 1.5, 2.0), Turn("bob", 4.125, 5.5)]
    assert "no face for guest" in voices.notes[1] and "overlap for 0.2 s" in voices.notes[0]
    ann = said(voices, "ann")
    assert not ann[: round(0.25 * AUDIO_RATE)].any() and not ann[round(1.5 * AUDIO_RATE) :].any()
    assert ann[round(0.3 * AUDIO_RATE) : round(1.4 * AUDIO_RATE)].any()


def test_who_has_no_voice_listens_and_that_is_said(folder) -> None:
    assert "bob has no voice" in voices_of(scene(folder, {"voice": "a.wav"})).notes[0]
    voices = voices_of(scene(folder, {"voice": "a.wav"}, {"voice": "silent.wav"}))
    assert "sound of bob is silent" in voices.notes[0] and not said(voices, "bob").any()
    assert "bob has no turn" in " ".join(
        voices_of(scene(folder, {"speaker": "ann"}, {"speaker": "nobody"}, sound="both.wav", turns="t.rttm")).notes
    )


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("[1]", "mapping"),
        ("{version: 2, cast: []}", "version: 1"),
        ("{version: 1, cast: []}", "1 to 6"),
        ("{version: 1, cast: [{avatar: ann}]}", "voice for somebody"),
        ("{version: 1, cast: [{avatar: none, voice: a.wav}]}", "existing file"),
        ("{version: 1, cast: [{avatar: ann, voice: a.wav}, {avatar: ann, voice: b.wav}]}", "different name"),
        ("{version: 1, cast: [{avatar: ann, voise: a.wav}]}", "Did you mean `voice`"),
        ("{version: 1, cast: [{avatar: ann, channel: 1}]}", "`sound`"),
        ("{version: 1, sound: a.wav, cast: [{avatar: ann, channel: 0}]}", "from 1"),
        ("{version: 1, turns: t.rttm, cast: [{avatar: ann, voice: a.wav}]}", "whose turns"),
        ("{version: 1, layout: circle, cast: [{avatar: ann, voice: a.wav}]}", "split or room"),
        ("{version: 1, size: [10, 10], cast: [{avatar: ann, voice: a.wav}]}", "pixels"),
        ("{version: 1, cast: [{avatar: ann, voice: a.wav, x: .nan}]}", "number"),
    ],
)
def test_what_is_no_scene(folder, content, says) -> None:
    file = folder / "s.yaml"
    file.write_text(content)
    with pytest.raises(UserError, match=says):
        read_scene(file)


def test_several_need_turns_and_a_channel_must_be_there(folder) -> None:
    with pytest.raises(UserError, match="turns, channels or voices"):
        voices_of(scene(folder, sound="both.wav"))
    with pytest.raises(UserError, match="a channel from 1 to 2"):
        voices_of(scene(folder, {"channel": 1}, {"channel": 3}, sound="stereo.wav"))

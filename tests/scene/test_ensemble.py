"""Several faces in one live session: who has the word moves the lips, the others look there and keep theirs still."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from gtalk.direct.gaze import gaze_in_room
from gtalk.motion.edits.emotion import shown_opening
from gtalk.motion.model.model import load_motion_model
from gtalk.scene.config import SceneConfig
from gtalk.scene.ensemble import Ensemble, SceneMoment
from gtalk.scene.render import stage
from gtalk.scene.script import scene_of
from gtalk.talk import TakesTurns
from gtalk.types import AUDIO_RATE, Motion
from gtalk.viewer.audio.sources import speech_source
from gtalk.viewer.live.session import LiveSession
from tests.speech.voices import babble
from tests.support.toys import toy_character
from tests.viewer.live_servers import Clock, run


@pytest.fixture(scope="module")
def ensemble(small_person, tmp_path_factory: pytest.TempPathFactory) -> Ensemble:
    return ensemble_of(small_person, tmp_path_factory.mktemp("live"))


def ensemble_of(person: Path, folder: Path, names: tuple[str, ...] = ("ann", "bob")) -> Ensemble:
    (folder / "me").mkdir(exist_ok=True)
    character = dataclasses.replace(toy_character(120), motion_model=load_motion_model(person))
    plain = {"version": 1, "layout": "room", "size": [240, 120], "cast": [{"name": n, "avatar": "me"} for n in names]}
    return Ensemble(stage(scene_of(plain, folder, live=True), SceneConfig(), lambda _: character, live=True))


def spoken(ensemble: Ensemble, turns: list[tuple[str, float]]) -> list[SceneMoment]:
    session, out = ensemble.session(), []
    assert isinstance(session, TakesTurns)
    for number, (who, length_s) in enumerate(turns):
        sound = babble(length_s, seed=number)[0] if who else np.zeros(round(length_s * AUDIO_RATE), np.float32)
        for i in range(0, len(sound), 640):
            session.give_word(who)
            out += session.advance(sound[i : i + 640])
    return [*out, *session.end()]


def test_who_has_the_word_speaks_and_the_other_looks_there_with_still_lips(ensemble) -> None:
    moments = spoken(ensemble, [("", 0.4), ("ann", 3.0), ("bob", 3.0), ("", 1.0)])
    assert [m.time_s for m in moments] == pytest.approx(np.arange(len(moments)) / 25)
    assert len(moments) == round(7.4 * 25)
    ann, bob = (Motion.concatenate([m.each[i].motion for m in moments]) for i in range(2))
    openings = [shown_opening(motion) for motion in (ann, bob)]
    first, second = slice(25, 80), slice(100, 155)
    for speaker, listener, when in ((0, 1, first), (1, 0, second)):
        assert openings[speaker][when].mean() > 0.002 and np.ptp(openings[listener][when]) < 0.0012
    model = ensemble.players[0].character.motion_model
    looks = [np.rad2deg(gaze_in_room(motion, model))[:, 0] for motion in (ann, bob)]  # type: ignore[arg-type]
    right, left = ensemble.staged.places["ann"]["bob"][0], ensemble.staged.places["bob"]["ann"][0]
    assert right > 10 > -10 > left
    assert abs(np.median(looks[1][40:80]) - left) < 5, "Bob on Ann, who speaks"
    assert abs(np.median(looks[0][115:155]) - right) < 5, "Ann on Bob"
    assert abs(np.median(looks[1][115:155]) - left) < 5, "Bob on whom he answers"


def test_a_visitors_voice_moves_nobodys_lips_and_all_look_at_the_camera(ensemble) -> None:
    session, moments = ensemble.session(), []
    sound = np.concatenate([babble(1.5, seed=1)[0], np.zeros(4800, np.float32), babble(3.0, seed=2)[0]])
    for i in range(0, len(sound), 640):
        session.give_word("ann" if i < 1.5 * AUDIO_RATE else "")
        moments += session.advance(sound[i : i + 640])
    for i, player in enumerate(ensemble.players):
        motion = Motion.concatenate([m.each[i].motion for m in moments])[75:]
        assert np.ptp(shown_opening(motion)) < 0.0012
        looks = np.rad2deg(gaze_in_room(motion, player.character.motion_model))[15:]  # type: ignore[arg-type]
        assert abs(np.median(looks[:, 0])) < 5


def test_the_picture_has_both_and_the_size_that_is_wanted(ensemble) -> None:
    moment = spoken(ensemble, [("ann", 0.4)])[-1]
    (frame,) = ensemble.draw([moment])
    assert frame.rgb.shape == (120, 240, 3) and frame.alpha.min() == 255
    assert np.abs(frame.rgb[:, :120].astype(int) - frame.rgb[0, 0]).max() > 60, "somebody on the left"
    assert np.abs(frame.rgb[:, 120:].astype(int) - frame.rgb[0, 0]).max() > 60, "and on the right"
    smaller = ensemble.draw([moment], dataclasses.replace(ensemble.view, size=(120, 60)))
    assert smaller[0].rgb.shape == (60, 120, 3)


def test_a_live_session_of_several_takes_turns_in_line_and_a_stop_calls_all_off(ensemble) -> None:
    clock = Clock()
    session = LiveSession(ensemble, clock=clock)
    seen: list[SceneMoment] = []
    session.on_moment = lambda moment, _frame: seen.append(moment)  # type: ignore[arg-type]
    sound = babble(1.0)[0]
    assert session.play_after(speech_source(sound, speaker="ann")) and session.play_after(
        speech_source(sound, speaker="bob")
    )
    run(session, clock, 25)
    assert getattr(session.source, "speaker", "") == "ann"
    run(session, clock, 10)
    assert getattr(session.source, "speaker", "") == "bob"
    run(session, clock, 30)
    assert session.source is None and len(seen) > 55
    openings = [shown_opening(Motion.concatenate([m.each[i].motion for m in seen])) for i in range(2)]
    for speaks, listens, when in ((0, 1, slice(10, 20)), (1, 0, slice(36, 46))):
        assert openings[speaks][when].mean() > 0.002 and np.ptp(openings[listens][when]) < 0.0012
    third = speech_source(sound, speaker="ann")
    session.play_after(speech_source(sound, speaker="bob"))
    session.play_after(third)
    assert third in session.line
    session.interrupt()
    run(session, clock, 2)
    assert session.source is None and third not in session.line

"""Each thing that the report complains of leads to the part that mends it."""

from dataclasses import replace
from pathlib import Path

import pytest

from gtalk.files import no_room
from gtalk.making.takes import SAME_PERSON
from gtalk.prepare.report.metrics import Image, Movement, Sound, judge
from gtalk.studio.advice import advice, fault_name

SOUND = Sound(-20.0, -60.0, 0.4, 0.0)
IMAGE = Image(250.0, 80.0, 0.0, 0.0, 0.0)
MOVEMENT = Movement(100.0, 0.0, [], (-20.0, 20.0), (-10.0, 10.0), (-5.0, 5.0), (0.0, 10.0), 0.3, 12.0, 0.1)


def judged(sound=SOUND, image=IMAGE, movement=MOVEMENT, **facts):
    return advice(judge(sound, image, movement, facts).to_json())


@pytest.mark.parametrize(
    ("name", "redo", "changed"),
    [
        ("silence", "silence", {"sound": replace(SOUND, silence_share=0.01)}),
        ("turn", "turn", {"movement": replace(MOVEMENT, yaw_deg=(-2.0, 3.0))}),
        ("blink", "silence", {"movement": replace(MOVEMENT, blinks_per_min=0.5)}),
        ("short", "read", {"movement": replace(MOVEMENT, duration_s=30.0)}),
        ("faceless", "read", {"movement": replace(MOVEMENT, faceless_share=0.1)}),
        ("no_sound", "read", {"sound": replace(SOUND, level_dbfs=None)}),
        ("quiet", "read", {"sound": replace(SOUND, level_dbfs=-45.0, noise_dbfs=-80.0)}),
        ("clipped", "read", {"sound": replace(SOUND, clipped_share=0.01)}),
        ("noise", "read", {"sound": replace(SOUND, noise_dbfs=-25.0)}),
        ("small", "read", {"image": replace(IMAGE, face_height_px=100.0)}),
        ("soft", "read", {"image": replace(IMAGE, sharpness=5.0)}),
        ("motion_blur", "read", {"image": replace(IMAGE, blurred_share=0.5)}),
        ("burnt", "read", {"image": replace(IMAGE, over_share=0.1)}),
        ("dark", "read", {"image": replace(IMAGE, under_share=0.2)}),
        ("background", "read", {"background": {"moving_share": 0.2}}),
        ("camera", "read", {"background": {"drift_px": 12.0}}),
        ("mouth", "read", {"masks": {"mouth_hidden_spans": [(10, 20)]}}),
        ("another", "read", {"landmarks": {"frames_with_other_faces": 9}}),
    ],
)
def test_every_complaint_is_known(name, redo, changed) -> None:
    [problem] = judged(**changed)["problems"]
    assert (problem["name"], problem["redo"]) == (name, redo)


def test_no_complaint_and_what_is_not_known() -> None:
    assert judged() == {"word": "good", "problems": []}
    assert advice({"word": "usable", "problems": ["something new"]})["problems"] == [
        {"text": "something new", "name": "", "redo": ""}
    ]
    assert advice(None) is None


def test_two_sentences_about_one_thing_are_told_once() -> None:
    told = advice(
        {"word": "usable", "problems": ["the head turns over 4 degrees only", "The head turns too little to"]}
    )
    assert told is not None and [problem["text"] for problem in told["problems"]] == [
        "the head turns over 4 degrees only"
    ]


ERRORS = {
    "no_face": ["expected a face that looks towards the camera; got no face in any of 30 frames.",
                "expected at least 3 training frames with a face; got 2."],
    "too_short": ["expected at least 50 training frames with a face at 25 fps; got 9 at 25 fps.",
                  "expected at least 3 frames; got 1 at 25 fps."],
    "other_take": [f"expression take a.webm: expected the person of the clip (bones within {SAME_PERSON:.1%}); got"],
    "disk_full": [str(no_room(Path("a")))],
    "": ["port 8090: expected a free port; got one in use."],
}  # fmt: skip


@pytest.mark.parametrize("name", ERRORS)
def test_why_a_job_failed_is_known_where_the_page_has_words_for_it(name) -> None:
    assert {fault_name(error) for error in ERRORS[name]} == {name}

import re

import numpy as np

from gtalk.prepare.report.curves import HEIGHT, WIDTH, angle_curves, lips_over_sound
from gtalk.prepare.report.metrics import HOP_S
from gtalk.types import AUDIO_RATE, Motion


def still(seconds: float, fps: float = 25.0) -> Motion:
    count = round(seconds * fps)
    poses = np.tile(np.eye(4), (count, 1, 1))
    angle = np.radians(20.0)
    poses[count // 2 :, :3, :3] = [
        [np.cos(angle), 0, np.sin(angle)],
        [0, 1, 0],
        [-np.sin(angle), 0, np.cos(angle)],
    ]
    two = np.zeros((count, 2))
    return Motion(
        fps=fps,
        landmarks=np.zeros((count, 68, 3)),
        eyes=two,
        gaze=two,
        brows=two,
        head_pose=poses,
        valid=np.ones(count, bool),
    )


def test_a_turn_is_drawn_when_it_happens() -> None:
    page = angle_curves(still(10.0), [125])
    yaw = re.findall(r'<polyline points="([^"]+)"', page)[0]
    points = np.array([[float(v) for v in point.split(",")] for point in yaw.split()])
    before, after = points[points[:, 0] < 0.49 * WIDTH, 1], points[points[:, 0] > 0.51 * WIDTH, 1]
    assert np.allclose(before, HEIGHT / 2, atol=0.2)
    assert np.abs(after - HEIGHT / 2).min() > 0.8 * HEIGHT / 2 * 20 / 22
    assert f'<line x1="{WIDTH / 2:.1f}"' in page  # the cut
    assert "10 s</text>" in page


def test_a_long_clip_shows_its_beginning_middle_and_end() -> None:
    seconds = 100.0
    samples = np.zeros(round(seconds * AUDIO_RATE), np.float32)
    speech = np.zeros(round(seconds / HOP_S), bool)
    speech[-300:] = True  # the last three seconds
    pitch = np.zeros((round(seconds / HOP_S), 2))
    charts = lips_over_sound(still(seconds), samples, speech, pitch).split("</svg>")[:-1]
    assert len(charts) == 3
    assert ["<rect" in chart for chart in charts] == [False, False, True]
    assert "0 s</text>" in charts[0] and "100 s</text>" in charts[2]
    left, width = (float(v) for v in re.findall(r'<rect x="([\d.]+)" width="([\d.]+)"', charts[2])[0])
    assert abs(left - 0.75 * WIDTH) < 2 and abs(width - 0.25 * WIDTH) < 2


def test_a_clip_of_two_seconds() -> None:
    page = lips_over_sound(still(2.0), np.zeros(32_000, np.float32), np.zeros(200, bool), np.zeros((200, 2)))
    assert page.count("<svg") == 1

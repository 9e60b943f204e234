"""What a look tells; the detector is a stand-in here, its faces are the canonical face's."""

import threading

import cv2
import numpy as np
import pytest

from gtalk.errors import UserError
from gtalk.prepare.landmarks.detectors import Face
from gtalk.rig.shapes import neutral
from gtalk.studio.looking import Looker


class Finder:
    """Finds what it is told."""

    def __init__(self) -> None:
        self.faces: list[Face] = []

    def find(self, frame: np.ndarray) -> list[Face]:
        return self.faces


def face(
    *, centre: tuple[float, float] = (320.0, 180.0), height_px: float = 160.0, stretch: float = 1.0, seed: int = 0
) -> Face:
    """The mean face, somewhere in a picture; `stretch` makes another person of it."""
    points = neutral() * np.array([stretch, -1.0, -1.0])
    points = (points - points.mean(0)) * height_px / np.ptp(points[:, 1])
    points[:, :2] += centre
    return Face((points + np.random.default_rng(seed).normal(0, 0.3, points.shape)).astype(np.float32))


def jpeg(light: int = 130) -> bytes:
    noise = np.random.default_rng(1).integers(-40, 40, (360, 640, 3)) + light
    return cv2.imencode(".jpg", np.clip(noise, 0, 255).astype(np.uint8))[1].tobytes()


@pytest.fixture
def looker() -> Looker:
    looker = Looker()
    looker._finder = Finder()  # type: ignore[assignment]
    return looker


def test_place_size_light_and_sharpness(looker) -> None:
    assert looker.look(jpeg()) == {"faces": 0, "width": 640, "height": 360}
    looker._finder.faces = [face(height_px=180.0)]
    told = looker.look(jpeg())
    x, y, width, height = told["box"]
    assert x + width / 2 == pytest.approx(0.5, abs=0.02) and 0.3 < height < 0.55 and y > 0
    assert abs(told["yaw"]) < 0.1 and told["light"] == pytest.approx(130, abs=8) and told["sharpness"] > 100
    assert looker.look(jpeg(20))["light"] < 55
    looker._finder.faces = [face(), face(centre=(500.0, 180.0))]
    assert looker.look(jpeg())["faces"] == 2


def test_the_person_of_another_day_is_known_and_somebody_else_is_not(looker) -> None:
    def looks(take: str, known, **how) -> list:
        same = []
        for seed in range(9):
            looker._finder.faces = [face(centre=(300.0 + 3 * seed, 170.0), seed=seed, **how)]
            same.append(looker.look(jpeg(), take, known)["same"])
        return same

    assert looker.shape("ada") is None
    assert looks("ada", None)[-1] is None
    known = looker.shape("ada")
    looker.forget("ada")
    assert looks("ada", known, height_px=120.0)[-1] is True
    looker.forget("ada")
    assert looks("ada", known, stretch=1.3)[-1] is False
    looker.forget("ada")
    assert looks("ada", {"points": [[0, 0]]})[-1] is None, "a shape that is none is no reason to stop anybody"


@pytest.mark.parametrize("data", [b"", b"GIF89a", b"\xff\xd8\xff" + b"x" * 99])
def test_what_is_no_picture(looker, data) -> None:
    with pytest.raises(UserError, match="a small JPEG"):
        looker.look(data)


def test_a_look_waits_while_what_is_said_must_be_heard(monkeypatch) -> None:
    looker, looked = Looker(), threading.Event()
    monkeypatch.setattr(looker, "_find", lambda _picture: looked.set() or [])
    jpeg = cv2.imencode(".jpg", np.zeros((64, 64, 3), np.uint8))[1].tobytes()
    with looker.held():
        thread = threading.Thread(target=looker.look, args=(jpeg,))
        thread.start()
        assert not looked.wait(0.2)
    assert looked.wait(10)
    thread.join()

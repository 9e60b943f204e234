import os
import threading

import numpy as np
import pytest
from threadpoolctl import threadpool_info

from gtalk.prepare.frame_io import one_thread_each
from gtalk.prepare.landmarks.detectors import AHEAD, Face, TwiceFinder
from gtalk.prepare.landmarks.silence_stderr import quiet
from gtalk.topology import MIRROR

WIDTH = 64


class Fake:
    """Says what it is told and remembers what it saw."""

    def __init__(self, *answers: list[Face] | Exception) -> None:
        self.answers, self.seen, self.closed, self.resets = list(answers), [], False, 0

    def find(self, frame: np.ndarray) -> list[Face]:
        self.seen.append(frame.copy())
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    def reset(self) -> None:
        self.resets += 1

    def close(self) -> None:
        self.closed = True


def points(seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).uniform(10.0, 50.0, (478, 3)).astype(np.float32)


def mirrored(face: np.ndarray) -> np.ndarray:
    flipped = face * np.array([-1, 1, 1], np.float32) + np.array([WIDTH, 0, 0], np.float32)
    return flipped[MIRROR]


def test_what_image_and_mirror_show_is_averaged():
    true, error = points(), np.float32(0.5)
    plain, mirror = Fake([Face(true + error)]), Fake([Face(mirrored(true - error))])
    finder = TwiceFinder(plain, mirror)
    frame = np.random.default_rng(1).integers(0, 255, (48, WIDTH, 3), dtype=np.uint8)
    (found,) = finder.find(frame)
    np.testing.assert_allclose(found.points, true, atol=1e-4)
    np.testing.assert_array_equal(mirror.seen[0], plain.seen[0][:, ::-1])
    finder.reset()
    finder.close()
    assert (plain.resets, mirror.resets, plain.closed, mirror.closed) == (1, 1, True, True)


def test_another_face_in_the_mirror_is_not_mixed_in():
    true = points()
    far = mirrored(true + np.array([30, 0, 0], np.float32))
    finder = TwiceFinder(Fake([Face(true)], []), Fake([Face(far)], [Face(far)]))
    frame = np.zeros((48, WIDTH, 3), np.uint8)
    np.testing.assert_array_equal(finder.find(frame)[0].points, true)
    assert finder.find(frame) == []


def test_a_fault_beside_is_a_fault():
    finder = TwiceFinder(Fake([Face(points())]), Fake(RuntimeError("no model")))
    with pytest.raises(RuntimeError, match="no model"):
        finder.find(np.zeros((48, WIDTH, 3), np.uint8))


def test_images_stream_through_both_in_order_and_shots_begin_for_both():
    count = 3 * AHEAD
    plain, mirror = (Fake(*[[Face(points(k))] for k in range(count)]) for _ in range(2))
    frames = [np.full((48, WIDTH, 3), k, np.uint8) for k in range(count)]
    finder = TwiceFinder(plain, mirror)
    seen = list(finder.find_each(frames, {0, 7}))
    finder.close()
    assert [frame[0, 0, 0] for frame, _ in seen] == list(range(count))
    assert all(np.array_equal(faces[0].points, points(k)) for k, (_, faces) in enumerate(seen))
    assert (plain.resets, mirror.resets) == (2, 2)


def test_the_mirror_looks_for_one_face_until_there_are_several():
    two = [Face(points(1)), Face(points(2))]
    for first in ([Face(points(1))], two):  # one face that the mirror does not show, and two faces
        count = 3 * AHEAD
        plain = Fake(*[first] * count)
        other = [Face(mirrored(points(5)))] if len(first) == 1 else [Face(mirrored(points(1)))]
        one, many = Fake(*[other] * count), Fake(*[[Face(mirrored(face.points)) for face in two]] * count)
        finder = TwiceFinder(plain, one, lambda many=many: many)
        found = list(finder.find_each([np.zeros((48, WIDTH, 3), np.uint8)] * count))
        finder.close()
        # Decided by the first image, when the ones that follow at once are under way already: the same in every run.
        assert (len(one.seen), len(many.seen)) == (AHEAD, count - AHEAD)
        assert one.closed and many.closed
        assert [len(faces) for _, faces in found] == [len(first)] * count


def test_quiet_threads_leave_stderr_as_it_was(capfd):
    before = os.fstat(2).st_ino
    barrier = threading.Barrier(2, timeout=5)

    def whisper() -> None:
        barrier.wait()
        for _ in range(50):
            with quiet(), quiet():
                os.write(2, b"secret")

    threads = [threading.Thread(target=whisper) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    os.write(2, b"open")
    assert os.fstat(2).st_ino == before
    assert capfd.readouterr().err == "open"


def test_linear_algebra_leaves_the_cores_to_our_threads():
    def blas() -> list[int]:
        return [library["num_threads"] for library in threadpool_info() if library["user_api"] == "blas"]

    before = blas()
    with one_thread_each():
        assert set(blas()) == {1}
    assert blas() == before

"""Who finds faces in one image: MediaPipe's FaceMesh, its Face Landmarker, and a search for small faces."""

from __future__ import annotations

import warnings
from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, runtime_checkable

import cv2
import numpy as np

from gtalk.errors import UserError
from gtalk.geometry.similarity import crop_matrix, opencv_matrix
from gtalk.prepare.landmarks.silence_stderr import quiet
from gtalk.shapes import Float, UInt8
from gtalk.topology import MIRROR

MAX_FACES = 3
AHEAD = 6  # images that the quicker one of two finders may be ahead
SMALL_FACE_CROP = 2.0  # side of the crop around a small face, in sides of its box
SMALL_FACE_SIZE = 384  # the crop is enlarged to this many pixels


@dataclass(frozen=True)
class Face:
    """One face of one image."""

    points: Float[np.ndarray, "478 3"]
    """float32: x, y in pixels, relative depth in pixels."""
    blendshapes: Float[np.ndarray, "52"] | None = None


@runtime_checkable
class Finder(Protocol):
    """Finds faces in the images of one shot after another."""

    def find(self, frame: UInt8[np.ndarray, "H W 3"]) -> list[Face]:
        """The faces of the next image; may use what it saw in the last one."""
        ...

    def reset(self) -> None:
        """A new shot begins."""
        ...

    def close(self) -> None:
        """Free the model."""
        ...


class FaceMeshFinder:
    """MediaPipe FaceMesh with irises (478 points). Its weights are in the wheel."""

    def __init__(self, static: bool = False, most: int = MAX_FACES) -> None:
        """`most`: faces that are looked for; while fewer are seen, each image costs a search for another."""
        with quiet():
            from mediapipe.python.solutions.face_mesh import FaceMesh

            _forget_protobuf_warning()
            self._mesh = FaceMesh(static_image_mode=static, max_num_faces=most, refine_landmarks=True)
        self._greets = True  # until the first face, the native library may still write to the terminal
        self.reset()

    def find(self, frame: UInt8[np.ndarray, "H W 3"]) -> list[Face]:
        """Tracks from the last image; searches anew where it lost a face."""
        # Square, since the graph turns points by the head's roll as if width and height were equal.
        square = _pad_to_square(frame)
        with quiet() if self._greets else nullcontext():
            found = self._mesh.process(square).multi_face_landmarks or []  # type: ignore[attr-defined]
        self._greets = self._greets and not found
        return [Face(_to_pixels(face.landmark, square)) for face in found]

    def reset(self) -> None:
        """Forget the tracked faces."""
        with quiet():
            self._mesh.reset()
            # The native library writes its greetings with the first image: let that one be black.
            self._mesh.process(np.zeros((64, 64, 3), np.uint8))

    def close(self) -> None:
        """Free the model."""
        self._mesh.close()


class FaceLandmarkerFinder:
    """MediaPipe Face Landmarker from a `.task` file: the same points, and 52 blendshape scores."""

    def __init__(self, path: Path) -> None:
        with quiet():
            from mediapipe.tasks.python import BaseOptions, vision

            options = vision.FaceLandmarkerOptions(
                base_options=BaseOptions(model_asset_buffer=Path(path).read_bytes()),
                # Every image on its own: the video mode filters points in time.
                running_mode=vision.RunningMode.IMAGE,
                num_faces=MAX_FACES,
                output_face_blendshapes=True,
            )
            try:
                self._landmarker = vision.FaceLandmarker.create_from_options(options)
            except (RuntimeError, ValueError) as error:
                raise UserError(
                    f"landmark model {path}",
                    expected="a MediaPipe Face Landmarker bundle",
                    got=str(error).splitlines()[0],
                    remedy="Download it again (`gtalk assets get face_landmarker`).",
                ) from error
            self.find(np.zeros((64, 64, 3), np.uint8))

    def find(self, frame: UInt8[np.ndarray, "H W 3"]) -> list[Face]:
        """Each image by itself."""
        import mediapipe as mp

        square = _pad_to_square(frame)
        result = self._landmarker.detect(mp.Image(mp.ImageFormat.SRGB, square))
        scores = [np.array([c.score for c in face], np.float32) for face in result.face_blendshapes]
        return [Face(_to_pixels(face, square), s) for face, s in zip(result.face_landmarks, scores, strict=True)]

    def reset(self) -> None:
        """It has no memory."""

    def close(self) -> None:
        """Free the model."""
        self._landmarker.close()


class TwiceFinder:
    """Every image seen twice, as it is and in the mirror; what both see is averaged.

    The two errors are largely independent: on real clips the skin under the averaged points varies a tenth
    less around the mouth, a fifth less around the brows, and the demo's truth is met better (head 0.37 instead
    of 0.56 degrees, lips 1.0 instead of 1.2 pixels off). Each has a thread of its own (the models run outside Python's
    lock) and goes on while the other is still at an image before. In the mirror one face is looked for, until there
    is another: to find out that there is none costs a third of the time.
    """

    def __init__(self, plain: Finder, mirrored: Finder, several: Callable[[], Finder] | None = None) -> None:
        """`several`: makes what looks into the mirror once several faces were seen; `mirrored` by default."""
        self._plain, self._mirrored, self._several = plain, mirrored, several
        self._threads = ThreadPoolExecutor(1), ThreadPoolExecutor(1)

    def find(self, frame: UInt8[np.ndarray, "H W 3"]) -> list[Face]:
        """Faces of the plain image; a face that the mirror does not show stays as it is."""
        ((_, faces),) = self.find_each([frame])
        return faces

    def find_each(
        self, frames: Iterable[UInt8[np.ndarray, "H W 3"]], starts: Collection[int] = ()
    ) -> Iterator[tuple[UInt8[np.ndarray, "H W 3"], list[Face]]]:
        """(image, its faces) in order, some images behind what is taken; before those of `starts` a shot begins."""
        pending: deque[tuple[np.ndarray, Future[list[Face]], Future[list[Face]]]] = deque()
        try:
            for index, frame in enumerate(frames):
                if len(pending) == AHEAD:
                    yield self._both(*pending.popleft())
                begins = index in starts
                pending.append(
                    (
                        frame,
                        self._threads[0].submit(_look, self._plain, frame, begins),
                        self._threads[1].submit(_look, self._mirrored, frame, begins, mirror=True),
                    )
                )
            while pending:
                yield self._both(*pending.popleft())
        finally:
            for _, *futures in pending:
                for future in futures:
                    future.cancel()

    def _both(
        self, frame: np.ndarray, plain: Future[list[Face]], mirrored: Future[list[Face]]
    ) -> tuple[np.ndarray, list[Face]]:
        faces, others = plain.result(), [_unmirror(face, frame.shape[1]) for face in mirrored.result()]
        pairs = [(face, _same(face, others)) for face in faces]
        if self._several is not None and (len(faces) > 1 or (others and any(other is None for _, other in pairs))):
            one, self._mirrored, self._several = self._mirrored, self._several(), None
            self._threads[1].submit(one.close)  # after what it has still to look at
        return frame, [
            face if other is None else Face((face.points + other.points) / 2, face.blendshapes) for face, other in pairs
        ]

    def reset(self) -> None:
        """A new shot begins."""
        self._plain.reset()
        self._mirrored.reset()

    def close(self) -> None:
        """Free the models."""
        for thread in self._threads:
            thread.shutdown()
        self._plain.close()
        self._mirrored.close()


def _look(finder: Finder, frame: np.ndarray, begins: bool, mirror: bool = False) -> list[Face]:
    if begins:
        finder.reset()
    return finder.find(np.asarray(cv2.flip(frame, 1)) if mirror else frame)


class SmallFaceFinder:
    """Faces too small for the others: found by the full-range detector, enlarged, then meshed. Loads when used."""

    def __init__(self) -> None:
        self._detector = None
        self._mesh: FaceMeshFinder | None = None

    def find(self, frame: UInt8[np.ndarray, "H W 3"]) -> list[Face]:
        """Each image by itself."""
        if self._detector is None or self._mesh is None:
            with quiet():
                from mediapipe.python.solutions.face_detection import FaceDetection

                self._detector = FaceDetection(model_selection=1)
                self._detector.process(np.zeros((64, 64, 3), np.uint8))
            self._mesh = FaceMeshFinder(static=True)
        height, width = frame.shape[:2]
        faces = []
        for detection in self._detector.process(frame).detections or []:  # type: ignore[attr-defined]
            box = detection.location_data.relative_bounding_box
            centre = np.array([(box.xmin + box.width / 2) * width, (box.ymin + box.height / 2) * height])
            side = SMALL_FACE_CROP * max(box.width * width, box.height * height)
            faces += self._mesh_in_crop(frame, centre, side)
        return faces

    def _mesh_in_crop(self, frame: np.ndarray, centre: np.ndarray, side: float) -> list[Face]:
        assert self._mesh is not None
        scale = SMALL_FACE_SIZE / max(side, 8.0)
        corner = centre - side / 2
        matrix = opencv_matrix(crop_matrix(corner, scale))
        crop = cv2.warpAffine(frame, matrix, (SMALL_FACE_SIZE, SMALL_FACE_SIZE), flags=cv2.INTER_CUBIC)
        found = self._mesh.find(crop)[:1]
        return [Face((face.points / scale + np.array([*corner, 0.0])).astype(np.float32)) for face in found]

    def close(self) -> None:
        """Free the models."""
        if self._detector is not None and self._mesh is not None:
            self._detector.close()
            self._mesh.close()


def _forget_protobuf_warning() -> None:
    """MediaPipe reads its results in a way that protobuf says, with each new kind of result, it should not."""
    warnings.filterwarnings("ignore", "SymbolDatabase.GetPrototype", UserWarning)


def _unmirror(face: Face, width: int) -> Face:
    points = face.points[MIRROR] * np.array([-1.0, 1.0, 1.0], np.float32)
    points[:, 0] += width
    return Face(points, face.blendshapes)


def _same(face: Face, others: list[Face]) -> Face | None:
    """The one of `others` that is the same face: off by less than a tenth of its size."""
    extent = np.sqrt(np.prod(np.ptp(face.points[:, :2], axis=0)))
    for other in others:
        if np.abs(other.points[:, :2] - face.points[:, :2]).mean() < 0.1 * extent:
            return other
    return None


def _pad_to_square(frame: np.ndarray) -> np.ndarray:
    height, width = frame.shape[:2]
    side = max(height, width)
    if height == width:
        return frame
    return cv2.copyMakeBorder(frame, 0, side - height, 0, side - width, cv2.BORDER_CONSTANT)


def _to_pixels(landmarks: object, frame: np.ndarray) -> np.ndarray:
    height, width = frame.shape[:2]
    points = np.array([(p.x, p.y, p.z) for p in landmarks])  # type: ignore[attr-defined]
    return (points * [width, height, width]).astype(np.float32)

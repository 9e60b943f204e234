"""`prepare`: clips of one person -> a dataset folder, in stages that resume.

media → landmarks → sync (sound to lips) → track (pose) → light → camera → masks → background → motion → report
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np

from gtalk.config import check_ranges, to_mapping
from gtalk.dataset.format import DATASET_VERSION, Dataset, Segment
from gtalk.dataset.split import first_test_frame
from gtalk.dataset.steady import LIGHT_FILE, PATH_FILE, read_gains
from gtalk.errors import UserError
from gtalk.files import atomic_path, require_writable_folder, sha256_of_file, write_json
from gtalk.media.audio import read_wav
from gtalk.media.source import probe, require_video
from gtalk.media.video import read_video
from gtalk.prepare.footage import track_reader
from gtalk.prepare.frame_io import in_order, one_thread_each, read_frame, read_frames, read_grey, read_luma
from gtalk.prepare.ingest.ingest import run_media
from gtalk.prepare.ingest.sync import check_av_offset, run_sync
from gtalk.prepare.landmarks.detect import detect_landmarks
from gtalk.prepare.landmarks.identities import find_strangers
from gtalk.prepare.records import load_landmarks, load_track, save_arrays, save_landmarks, save_track
from gtalk.prepare.report.html import write_report
from gtalk.prepare.segmentation.clean_plate import make_background
from gtalk.prepare.segmentation.masks import make_masks
from gtalk.prepare.segmentation.parsing_model import load_parsing_model
from gtalk.prepare.stages import Job, Pipeline, Stage
from gtalk.prepare.surroundings.mosaic import ALIVE, make_mosaic
from gtalk.prepare.surroundings.run import load_path, run_camera, run_light, save_mosaic
from gtalk.prepare.torso.looseness import measure_looseness
from gtalk.prepare.torso.sway import WORK_HEIGHT as SWAY_HEIGHT
from gtalk.prepare.torso.sway import Alignment, track_sway
from gtalk.prepare.torso.track import WORK_HEIGHT as TORSO_HEIGHT
from gtalk.prepare.torso.track import track_torso
from gtalk.prepare.tracking.to_motion import motion_from_track
from gtalk.prepare.tracking.track import TrackConfig, model_points, track_face
from gtalk.progress import OnProgress, silent
from gtalk.reading.untrusted import read_json
from gtalk.types import VIDEO_FPS, Motion

MANIFEST = "manifest.json"


@dataclass(frozen=True)
class PrepareConfig:
    """How clips become a dataset."""

    RANGES: ClassVar = {"size": (64, 4096), "av_offset": (-10, 10), "jpeg_quality": (1, 100)}

    size: int = 512
    """Longest side of the dataset's images in pixels, which Gaussians learn; smaller clips keep their size. 768 or 1024
    for a face that fills much of a large film."""
    framing: Literal["auto", "full"] = "auto"
    """auto crops clips larger than `size` to a square around the person; full keeps the whole image."""
    landmark_model: str = "auto"
    """auto, facemesh, or the path of a face_landmarker.task file."""
    one_person: bool = False
    """Whoever is alone in an image is the person: for clips of strong expressions, which change a face's shape as much
    as another face would."""
    av_offset: Literal["auto"] | float = "auto"
    """How many seconds later than the lips the sound comes; auto finds out, and leaves it where that is unsure."""
    parsing_model: str = ""
    """A face-parsing network (.onnx) in place of the built-in masks."""
    jpeg_quality: int = 97
    """Of the stored images."""
    track: TrackConfig = field(default_factory=TrackConfig)
    """Settings of the bundle adjustment."""


def prepare(
    clips: Sequence[Path],
    output: Path,
    config: PrepareConfig | None = None,
    on_progress: OnProgress = silent,
    stage: str | None = None,
) -> Dataset:
    """Make a dataset of clips of one person in one setting.

    Args:
        clips: video files; several become segments of one dataset.
        output: the dataset folder: a new one, or one that this function made from the same clips.
        config: settings; what earlier runs made with other settings is made again.
        on_progress: told after every frame of every stage.
        stage: make this stage and all after it again, whatever is there.

    A run that was killed continues with the stage that it was in, and the result is the same.

    Raises:
        UserError: a clip or the output is not usable. A folder that this call created is removed again.
    """
    config = config or PrepareConfig()
    clips = [Path(clip) for clip in clips]
    _check_settings(config)
    inputs = _check_clips(clips)
    created = _check_output(Path(output), inputs)
    job = Job(Path(output), clips, config, on_progress)
    pipeline = Pipeline(STAGES, job, inputs)
    try:
        (job.root / MANIFEST).unlink(missing_ok=True)
        records = pipeline.run(stage)
    except UserError:
        if created:
            shutil.rmtree(output, ignore_errors=True)
        raise
    write_json(job.root / MANIFEST, _manifest(job, inputs, records))
    return Dataset(job.root)


def track_motion(video: Path, on_progress: OnProgress = silent) -> Motion:
    """Track the face in a video into a Motion, without making a dataset.

    Raises UserError when it is not a video or shows hardly a face.
    """
    return track_reader(read_video(video, VIDEO_FPS, max_size=1024), Path(video).name, on_progress)[1]


def _segments(job: Job) -> list[Segment]:
    return [Segment(**segment) for segment in job.facts["media"]["segments"]]


def _size(job: Job) -> tuple[int, int]:
    return job.facts["media"]["width"], job.facts["media"]["height"]


def _gains(job: Job) -> np.ndarray | None:
    return read_gains(job.root / LIGHT_FILE, job.facts["media"]["n_frames"])


def _run_landmarks(job: Job) -> dict[str, Any]:
    total = job.facts["media"]["n_frames"]
    frames = read_frames(job.root / "frames", range(total))
    starts = [segment.start for segment in _segments(job)]
    found = detect_landmarks(
        frames,
        _size(job),
        total,
        job.on_progress,
        job.config.landmark_model,
        starts,
        sound=lambda: read_wav(job.root / "sound.wav").samples,
        one_person=job.config.one_person,
    )
    if not found.valid.any():
        raise UserError(
            f"clip {job.clips[0]}",
            expected="a face that looks towards the camera",
            got=f"no face in any of {total} frames",
            remedy="Use a clip in which one face is well lit and at least 100 pixels high.",
        )
    save_landmarks(job.root / "landmarks.npz", found)
    return {
        "faceless_frames": int((~found.valid).sum()),
        "frames_with_other_faces": int((found.face_count > found.valid).sum()),
        "notes": list(found.notes),
        "strangers": find_strangers(found.cast, job.facts["media"]["sources"]) if found.cast is not None else [],
        "source": found.source,
    }


def _run_track(job: Job) -> dict[str, Any]:
    landmarks = load_landmarks(job.root / "landmarks.npz")
    size, total = _size(job), job.facts["media"]["n_frames"]

    def images() -> Iterator[np.ndarray]:
        return in_order(lambda index: read_luma(job.root / "frames", index, size[1], size[1]), range(total))

    found = track_face(landmarks, size, _segments(job), job.config.track, job.on_progress, images)
    save_track(job.root, found)
    return {
        "focal_px": round(found.camera.focal_px, 2),
        "residual_px": round(float(np.sqrt(np.mean(found.residual_px[found.valid] ** 2))), 4),
        "notes": list(found.notes),
    }


def _run_masks(job: Job) -> dict[str, Any]:
    tracked = load_track(job.root)
    points = model_points(tracked)
    model = load_parsing_model(Path(job.config.parsing_model)) if job.config.parsing_model else None
    return make_masks(
        job.root,
        points,
        tracked.valid,
        _segments(job),
        _size(job),
        job.on_progress,
        model,
        _gains(job),
        load_path(job.root),
    )


def _run_background(job: Job) -> dict[str, Any]:
    import cv2

    segments, size, gains = _segments(job), _size(job), _gains(job)
    frames, mattes = job.root / "frames", job.root / "mattes"

    def read_both(index: int) -> tuple[np.ndarray, np.ndarray]:
        return read_frame(frames, index, gains), read_grey(mattes, index)

    path = load_path(job.root)
    mosaic = make_mosaic(read_both, size, path, job.on_progress) if path.moves else None
    background = mosaic.at_rest(size) if mosaic else make_background(read_both, size, segments, job.on_progress)
    save_mosaic(job.root, mosaic)
    with atomic_path(job.root / "background.png") as temporary:
        cv2.imwrite(str(temporary), cv2.cvtColor(background.plate, cv2.COLOR_RGB2BGR))

    def read(index: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        luma = read_luma(frames, index, TORSO_HEIGHT, size[1], gains)
        return luma, read_grey(job.root / "masks", index), read_grey(mattes, index)

    def read_pair(index: int) -> tuple[np.ndarray, np.ndarray]:
        return read_luma(frames, index, SWAY_HEIGHT, size[1], gains), read_grey(mattes, index)

    landmarks, poses = load_landmarks(job.root / "landmarks.npz"), load_track(job.root).T_world_head
    usable = landmarks.valid & (np.arange(len(landmarks.valid)) < first_test_frame(len(landmarks.valid)))
    placed: dict[str, np.ndarray] = {}
    with one_thread_each():
        torso = track_torso(read, size, segments, job.on_progress)
        alignment = Alignment(read_pair, landmarks.points_px, size, usable)
        labels = read_grey(job.root / "masks", alignment.rest)
        loose = measure_looseness(alignment, labels, poses, np.flatnonzero(usable).tolist())
        sways = loose.sways(torso.mostly_tracked)
        if sways:
            sway = track_sway(read_pair, landmarks.points_px, size, usable, job.on_progress, alignment)
            placed["sway"] = sway.astype(np.float32)
    save_arrays(
        job.root / "poses.npz",
        T_world_head=poses,
        torso=torso.torso,
        torso_bend=torso.bend,
        framing=background.framing,
        **placed,
    )
    return {
        "plate_seen_share": round(float(background.known.mean()), 4),
        "moving_share": round(background.moving_share, 4),
        "by_matte": path.moves or background.moving_share > ALIVE,
        "drift_px": round(background.drift * size[1], 2),
        "torso_tracked_share": round(float(torso.tracked.mean()), 4),
        "torso_rest_frame": torso.rest_frame,
        "looseness": asdict(loose),
        "sway_tracked": sways,
    }


def _run_motion(job: Job) -> dict[str, Any]:
    landmarks, tracked = load_landmarks(job.root / "landmarks.npz"), load_track(job.root)
    with np.load(job.root / "poses.npz", allow_pickle=False) as poses:
        placed = {name: poses[name] for name in ("torso", "torso_bend", "framing", "sway") if name in poses}
    motion = motion_from_track(tracked, landmarks, VIDEO_FPS, placed, _segments(job))
    motion.save(job.root / "motion.npz")
    return {}


def _run_report(job: Job) -> dict[str, Any]:
    return write_report(job)


def _part(*names: str):
    return lambda config: {name: to_mapping(config)[name] for name in names}


def _face_settings(config: PrepareConfig) -> dict[str, Any]:
    own = {"one_person": True} if config.one_person else {}  # datasets that were made before there was a choice stay
    return _part("landmark_model")(config) | own


def _parsing_settings(config: PrepareConfig) -> list[str]:
    return [sha256_of_file(Path(config.parsing_model))] if config.parsing_model else []


STAGES = [
    Stage("media", 4, (), ("frames", "sound.wav"), _part("size", "framing", "jpeg_quality"), run_media),
    Stage("landmarks", 3, ("media",), ("landmarks.npz",), _face_settings, _run_landmarks),
    Stage("sync", 3, ("media", "landmarks"), ("audio.wav",), _part("av_offset"), run_sync),
    Stage("track", 5, ("media", "landmarks"), ("camera.json", "person.npz", "track.npz"), _part("track"), _run_track),
    Stage("light", 1, ("media", "landmarks"), (LIGHT_FILE,), _part(), run_light),
    Stage("camera", 2, ("media", "track"), (PATH_FILE,), _part(), run_camera),
    Stage("masks", 14, ("media", "track", "light", "camera"), ("mattes", "masks"), _parsing_settings, _run_masks),
    Stage(
        "background",
        11,
        ("media", "landmarks", "track", "light", "camera", "masks"),
        ("background.png", "poses.npz"),
        _part(),
        _run_background,
    ),
    Stage("motion", 2, ("landmarks", "track", "background"), ("motion.npz",), _part(), _run_motion),
    Stage(
        "report",
        5,
        ("light", "camera", "masks", "background", "sync", "motion"),
        ("report.html",),
        _part(),
        _run_report,
    ),
]


def _check_settings(config: PrepareConfig) -> None:
    """Raise UserError now for what a later stage would stumble on."""
    check_av_offset(config.av_offset)
    check_ranges(config, "")
    if config.parsing_model:
        load_parsing_model(Path(config.parsing_model))


def _check_clips(clips: list[Path]) -> dict[str, str]:
    """Name and hash of every clip. Raises UserError for the first that is no video."""
    if not clips:
        raise UserError("clips", expected="at least one video", got="none", remedy="Name a video file.")
    for clip in clips:
        require_video(probe(clip))
    return {f"{i}:{clip.name}": sha256_of_file(clip) for i, clip in enumerate(clips)}


def _check_output(output: Path, inputs: dict[str, str]) -> bool:
    """Whether the folder is new. Raises UserError when it holds something else."""
    if output.exists() and not output.is_dir():
        raise UserError(
            f"output {output}", expected="a folder", got="a file", remedy="Choose another name for the dataset."
        )
    created = not output.exists() or not any(output.iterdir())
    require_writable_folder(output)
    owner = output / "clips.json"
    if created:
        write_json(owner, inputs)
        return True
    try:
        before = read_json(owner)
        if not isinstance(before, dict):
            raise ValueError("not clips and their hashes")
    except (OSError, ValueError):
        raise UserError(
            f"output {output}",
            expected="a new folder, or a dataset of the same clips",
            got="a folder with other files in it",
            remedy="Choose another output folder.",
        ) from None
    if before != inputs:
        raise UserError(
            f"output {output}",
            expected="a new folder, or a dataset of the same clips",
            got=f"a dataset of {', '.join(key.partition(':')[2] for key in before)}",
            remedy="Choose another output folder, or delete this one.",
        )
    return False


def _manifest(job: Job, inputs: dict[str, str], records: dict[str, Any]) -> dict[str, Any]:
    media = job.facts["media"]
    offsets = [clip["corrected_s"] for clip in job.facts["sync"]["clips"]]
    sources = [
        source | {"sha256": digest, "sound_advanced_s": offset}
        for source, digest, offset in zip(media["sources"], inputs.values(), offsets, strict=True)
    ]
    return {
        "schema_version": DATASET_VERSION,
        "fps": VIDEO_FPS,
        "n_frames": media["n_frames"],
        "width": media["width"],
        "height": media["height"],
        "segments": media["segments"],
        "sources": sources,
        "config": to_mapping(job.config),
        "stages": records,
        "verdict": job.facts["report"].get("verdict"),
    }

"""Landmarks of a clip -> one camera, one person, a pose and an expression per frame: bundle adjustment.

No face model is assumed: shape and expressions are the clip's own. See `track_model` and `track_pose`
for the two halves of the alternation.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np

from gtalk.dataset.format import Person, Segment
from gtalk.errors import UserError
from gtalk.geometry.rotation import (
    FLIP,
    align_similarity,
    log_so3,
    mean_rotation,
    to_world,
)
from gtalk.prepare.landmarks.detect import Landmarks
from gtalk.prepare.tracking.expression import fit_expressions, rigid_vertices
from gtalk.prepare.tracking.flow import FlowConfig, TextureTracks, track_texture
from gtalk.prepare.tracking.gaps import fill_gaps, fill_rotations
from gtalk.prepare.tracking.model import (
    Model,
    States,
    normalise,
    residuals_px,
    set_frontal,
)
from gtalk.prepare.tracking.pose import Observations, solve_states
from gtalk.prepare.tracking.refine import RefineConfig, refine_poses, texture_residuals
from gtalk.prepare.tracking.rigid import adjust_rigid, carry, spread_over_poses
from gtalk.progress import OnProgress, Progress, silent
from gtalk.shapes import Bool, Float
from gtalk.topology import EYE_CORNERS, N_FACE, N_POINTS, RIGID, TRIANGLES
from gtalk.types import OUTER_EYE_DISTANCE_M, Camera

MODEL_FRAMES = 1200  # expressions are fitted on at most so many frames, spread over the clip
SKULL_FRAMES = 240  # shape and focal length on so many, of poses as different as there are
MIN_FRAMES = 3


@dataclass(frozen=True)
class TrackConfig:
    """Settings of the bundle adjustment."""

    expressions: int = 36
    """Number of expressions of the person."""
    focal_prior: float = 2.2
    """Expected focal length, in image widths or heights (the longer one): a portrait lens."""
    flow: FlowConfig = field(default_factory=FlowConfig)
    """Texture tracks, when the images are at hand."""
    refine: RefineConfig = field(default_factory=RefineConfig)
    """How far landmarks, texture and smoothness are trusted."""


@dataclass(frozen=True)
class Track:
    """A tracked clip of T frames."""

    camera: Camera
    T_world_head: Float[np.ndarray, "T 4 4"]
    person: Person
    coefficients: Float[np.ndarray, "T K"]
    """Expression of each frame, in standard deviations of the clip."""
    valid: Bool[np.ndarray, " T"]
    residual_px: Float[np.ndarray, " T"]
    """Root mean square over the vertices; 0 where no face was seen."""
    notes: list[str] = field(default_factory=list)
    """What a person should know, in plain words."""

    def landmarks478(self) -> Float[np.ndarray, "T 478 3"]:
        """Head-space points of every frame, metres, denoised by the expression basis."""
        basis = self.person.expressions.reshape(-1, 3 * N_POINTS)
        return self.person.shape + (self.coefficients @ basis).reshape(-1, N_POINTS, 3)


def track_face(
    landmarks: Landmarks,
    size: tuple[int, int],
    segments: Sequence[Segment],
    config: TrackConfig = TrackConfig(),
    on_progress: OnProgress = silent,
    frames: Callable[[], Iterable[np.ndarray]] | None = None,
) -> Track:
    """Bundle adjustment of a whole clip.

    Args:
        landmarks: of every frame, as detected.
        size: (width, height) of the images.
        segments: parts without a cut; motion is smooth only inside each.
        config: settings.
        on_progress: told after every alternation.
        frames: gives the images (uint8, RGB [H,W,3] or grey [H,W]) once more, for the texture tracks; without it
            poses come from landmarks and smoothness alone and shake more.

    Raises:
        UserError: hardly a face in the clip.
    """
    valid = landmarks.valid
    if valid.sum() < MIN_FRAMES:
        raise UserError(
            "clip",
            expected="a face in most frames",
            got=f"a face in {int(valid.sum())} of {len(valid)} frames",
            remedy="Use a clip in which one person faces the camera.",
        )
    points_px, depth = landmarks.points_px.astype(np.float64), landmarks.depth.astype(np.float64)
    chosen = _spread(np.flatnonzero(valid), MODEL_FRAMES)
    model, rigidity, note = _fit_skull(points_px[chosen], depth[chosen], size, config)
    on_progress(Progress("track", 1, 3))
    everyone = _initial_states(model, points_px, depth, valid)
    observations = Observations(points_px, _landmark_errors(model, everyone, points_px, chosen, rigidity), valid)
    everyone, _ = solve_states(model, everyone, observations)
    model, everyone = _face_forward(model, everyone, valid)
    everyone, information = solve_states(model, everyone, observations, iterations=1)
    everyone = _fill(everyone, valid, segments)
    tracks = TextureTracks.none()
    if frames is not None:
        tracks = track_texture(frames(), model, everyone, valid, segments, config.flow, on_progress)
    borders = [segment.start for segment in segments]
    everyone, texture_m = refine_poses(model, everyone, information, valid, borders, tracks, config.refine)
    on_progress(Progress("track", 2, 3))
    error_px = np.linalg.norm(texture_residuals(model, everyone, texture_m, tracks), axis=1)
    rigidity = rigid_vertices(model.shape, tracks, error_px)
    model, everyone = fit_expressions(model, everyone, observations, rigidity, chosen, config.expressions)
    model, everyone = normalise(model, everyone, rigidity, valid)
    model, everyone = _face_forward(model, everyone, valid)
    everyone = _fill(everyone, valid, segments)
    on_progress(Progress("track", 3, 3))
    residual = np.sqrt((residuals_px(model, everyone, points_px)[:, :N_FACE] ** 2).sum(-1).mean(-1)) * valid
    camera = Camera(model.focal_px, size[0] / 2.0, size[1] / 2.0, *size)
    person = Person(model.shape, model.basis, TRIANGLES)
    poses = to_world(everyone.rotation, everyone.translation)
    return Track(camera, poses, person, everyone.coefficients, valid, residual, [note])


def solver_state(track: Track) -> tuple[Model, States]:
    """A track in the solvers' terms: model, and states in the OpenCV camera frame."""
    camera, person = track.camera, track.person
    model = Model(camera.focal_px, np.array([camera.cx_px, camera.cy_px]), person.shape, person.expressions)
    rotation, translation = FLIP @ track.T_world_head[:, :3, :3], track.T_world_head[:, :3, 3] @ FLIP
    return model, States(rotation, translation, track.coefficients)


def _fill(states: States, valid: np.ndarray, segments: Sequence[Segment]) -> States:
    """Frames without a face lie between their neighbours, not where smoothness would swing them."""
    return States(
        fill_rotations(states.rotation, valid, segments),
        fill_gaps(states.translation, valid, segments),
        fill_gaps(states.coefficients, valid, segments),
    )


def _spread(indices: np.ndarray, count: int) -> np.ndarray:
    if len(indices) <= count:
        return indices
    return indices[np.linspace(0, len(indices) - 1, count).astype(int)]


def _initialise(
    points_px: np.ndarray, depth: np.ndarray, focal_px: float, centre_px: np.ndarray
) -> tuple[np.ndarray, States]:
    """Mean shape by generalised Procrustes on the network's own depth, and weak-perspective poses."""
    solid = np.concatenate([points_px, depth[..., None]], axis=-1) @ FLIP
    rigid = np.zeros(N_POINTS)
    rigid[RIGID] = 1.0
    shape = solid[len(solid) // 2]
    for _ in range(4):
        scale, rotation, translation = align_similarity(solid, shape, rigid)
        aligned = scale[:, None, None] * (solid @ rotation.transpose(0, 2, 1)) + translation[:, None]
        shape = np.median(aligned, axis=0)
    # The network gives irises no depth: put them just behind the lids' plane.
    for iris, corners in zip((slice(468, 473), slice(473, 478)), EYE_CORNERS, strict=True):
        shape[iris, 2] = shape[corners, 2].mean()
    outer = shape[EYE_CORNERS[:, 0]]
    shape = (shape - outer.mean(0)) * (OUTER_EYE_DISTANCE_M / np.linalg.norm(outer[1] - outer[0]))
    model = Model(focal_px, centre_px, shape, np.zeros((0, N_POINTS, 3)))
    states = _initial_states(model, points_px, depth, np.ones(len(points_px), bool))
    model, states = normalise(model, states, rigid)
    return model.shape, states


def _initial_states(model: Model, points_px: np.ndarray, depth: np.ndarray, valid: np.ndarray) -> States:
    """Weak-perspective poses; frames without a face borrow from the nearest one that has it."""
    frames = np.flatnonzero(valid)
    solid = np.concatenate([points_px[frames], depth[frames][..., None]], axis=-1) @ FLIP
    rigid = np.zeros(N_POINTS)
    rigid[RIGID] = 1.0
    scale, rotation, shift = align_similarity(solid, model.shape, rigid)
    origin_px = -np.einsum("tcd,tc->td", rotation, shift) / scale[:, None] @ FLIP
    distance = model.focal_px * scale
    translation = np.concatenate([(origin_px[:, :2] - model.centre_px) * scale[:, None], distance[:, None]], axis=1)
    nearest = np.rint(np.interp(np.arange(len(valid)), frames, np.arange(len(frames)))).astype(int)
    rotation = (FLIP @ rotation.transpose(0, 2, 1))[nearest]
    return States(rotation, translation[nearest], np.zeros((len(valid), model.size)))


def _fit_skull(
    points_px: np.ndarray, depth: np.ndarray, size: tuple[int, int], config: TrackConfig
) -> tuple[Model, np.ndarray, str]:
    """Camera and a first shape without expressions; which vertices count as rigid; what to say of the focal length."""
    centre_px = np.array(size) / 2.0
    prior_px = config.focal_prior * max(size)
    shape, states = _initialise(points_px, depth, prior_px, centre_px)
    rigidity = rigid_vertices(shape)
    kept = np.flatnonzero(rigidity)
    bones = Model(prior_px, centre_px, shape[kept], np.zeros((0, len(kept), 3)))
    seen = Observations(points_px[:, kept], np.ones(len(kept)), np.ones(len(states), bool))
    states, _ = solve_states(bones, states, seen)
    error = np.sqrt((residuals_px(bones, states, points_px[:, kept]) ** 2).mean((1, 2)))
    part = spread_over_poses(states, error <= 2.0 * np.median(error), SKULL_FRAMES)
    found = adjust_rigid(bones, states[part], points_px[part][:, kept])
    model = Model(found.focal_px, centre_px, carry(shape, kept, found.shape), np.zeros((0, N_POINTS, 3)))
    return normalise(model, found.states, rigidity)[0], rigidity, found.note


def _landmark_errors(
    model: Model, states: States, points_px: np.ndarray, chosen: np.ndarray, rigidity: np.ndarray
) -> np.ndarray:
    """[478] expected error of each rigid vertex in pixels, as measured; infinite for the others."""
    part = points_px[chosen]
    seen = Observations(part, np.where(rigidity > 0.5, 1.0, np.inf), np.ones(len(chosen), bool))
    states, _ = solve_states(model, states[chosen], seen)
    spread = 1.48 * np.median(np.abs(residuals_px(model, states, part)), axis=(0, 2))
    floor = 0.5 * np.median(spread[rigidity > 0.5])
    return np.where(rigidity > 0.5, np.maximum(spread, floor), np.inf)


def _face_forward(model: Model, states: States, valid: np.ndarray) -> tuple[Model, States]:
    """Turn the head's axes so that the person's usual pose has no pitch."""
    usual = FLIP @ mean_rotation(states.rotation[valid])
    return set_frontal(model, states, float(log_so3(usual)[0]))


def model_points(track: Track) -> Float[np.ndarray, "T 478 2"]:
    """Where the tracked points lie in the images, pixels."""
    points = (
        track.landmarks478() @ track.T_world_head[:, :3, :3].transpose(0, 2, 1) + track.T_world_head[:, None, :3, 3]
    )
    return track.camera.project(points)

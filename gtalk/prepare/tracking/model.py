"""What is constant over a clip: the person's shape and low-rank expressions, and how to improve them.

Given poses and coefficients, every vertex is a small linear least-squares problem of its own:
`u_t ~ u(q_t) + A_t R_t (S + sum_k c_tk B_k - X_t)`, with `A_t` the projection's derivative at the
current point. That is the structure half of an alternating bundle adjustment.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from gtalk.geometry.rotation import cross_matrix, project, projection_jacobian, symmetry_alignment
from gtalk.shapes import Bool, Float
from gtalk.topology import EYE_CORNERS, MIRROR, N_FACE
from gtalk.types import OUTER_EYE_DISTANCE_M

ORIGIN_BEHIND_EYES_M = 0.065
"""The head's origin lies this far behind the midpoint of the outer eye corners: about between the ears."""
SHAPE_PRIOR_STD_M = 0.004  # how far the network's own depth may be off
EXPRESSION_PRIOR_STD_M = 0.002  # of a vertex for one standard deviation of one coefficient


@dataclass(frozen=True)
class Model:
    """Camera and person. Head space as in types.py."""

    focal_px: float
    centre_px: Float[np.ndarray, "2"]
    shape: Float[np.ndarray, "P 3"]
    basis: Float[np.ndarray, "K P 3"]

    @property
    def size(self) -> int:
        """Number of expressions K."""
        return len(self.basis)


@dataclass(frozen=True)
class States:
    """What changes from frame to frame: pose in the OpenCV camera frame and expression."""

    rotation: Float[np.ndarray, "T 3 3"]
    translation: Float[np.ndarray, "T 3"]
    coefficients: Float[np.ndarray, "T K"]

    def __len__(self) -> int:
        return len(self.rotation)

    def __getitem__(self, index: slice | np.ndarray) -> States:
        return States(self.rotation[index], self.translation[index], self.coefficients[index])


def deform(model: Model, coefficients: Float[np.ndarray, "T K"]) -> Float[np.ndarray, "T P 3"]:
    """Head-space points of every frame."""
    flat = coefficients @ model.basis.reshape(model.size, -1) if model.size else 0.0
    return (model.shape.reshape(1, -1) + flat + np.zeros((len(coefficients), 1))).reshape(len(coefficients), -1, 3)


def place(model: Model, states: States) -> Float[np.ndarray, "T P 3"]:
    """Points of every frame in the camera frame."""
    return deform(model, states.coefficients) @ states.rotation.transpose(0, 2, 1) + states.translation[:, None]


def residuals_px(model: Model, states: States, points_px: Float[np.ndarray, "T P 2"]) -> Float[np.ndarray, "T P 2"]:
    """Observed minus modelled pixels."""
    return points_px - project(place(model, states), model.focal_px, model.centre_px)


def update_structure(
    model: Model,
    states: States,
    points_px: Float[np.ndarray, "T P 2"],
    weights: Float[np.ndarray, "T P"],
    prior_shape: Float[np.ndarray, "P 3"],
    noise_px: float,
) -> Model:
    """Least-squares shape and basis for given poses and coefficients. Weights are relative, about 1."""
    camera = place(model, states)
    head = deform(model, states.coefficients)
    rows = projection_jacobian(camera, model.focal_px) @ states.rotation[:, None]
    target = points_px - project(camera, model.focal_px, model.centre_px)
    target = target + np.einsum("tpac,tpc->tpa", rows, head)
    code = np.concatenate([np.ones((len(states), 1)), states.coefficients], axis=1)
    count, size = len(model.shape), code.shape[1]
    # A vertex's normal matrix is a sum over frames of products of codes, the same for all vertices, times what the
    # frame says of the vertex (3x3): two matrix products for all vertices at once.
    inform = np.einsum("tpai,tpaj->tpij", rows * weights[..., None, None], rows).reshape(len(states), -1)
    pull = np.einsum("tpai,tpa->tpi", rows, target * weights[..., None]).reshape(len(states), -1)
    first, second = np.triu_indices(size)
    upper = ((code[:, first] * code[:, second]).T @ inform).reshape(-1, count, 3, 3)
    normal = np.empty((count, size, 3, size, 3))
    normal[:, first, :, second] = upper
    normal[:, second, :, first] = upper
    normal = normal.reshape(count, 3 * size, 3 * size)
    right = (code.T @ pull).reshape(size, count, 3).transpose(1, 0, 2).reshape(count, -1)
    prior = np.full(3 * size, (noise_px / EXPRESSION_PRIOR_STD_M) ** 2)
    # The frames' errors are alike, so that a prior must weigh as a share of them, not as one more frame.
    prior[:3] = (noise_px / SHAPE_PRIOR_STD_M) ** 2
    prior *= max(1.0, len(states) / 100.0)
    normal[:, np.arange(3 * size), np.arange(3 * size)] += prior
    right[:, :3] += prior[:3] * prior_shape
    solution = np.linalg.solve(normal, right[..., None]).reshape(count, size, 3)
    return replace(model, shape=solution[:, 0], basis=np.ascontiguousarray(solution[:, 1:].transpose(1, 0, 2)))


def normalise(
    model: Model, states: States, rigidity: Float[np.ndarray, "478"], valid: Bool[np.ndarray, " T"] | None = None
) -> tuple[Model, States]:
    """Fix what the images leave free, without changing what is projected.

    Coefficients get mean 0, unit variance and no correlation over the valid frames; expressions lose the part that
    is a rigid motion or scaling of the rigid points (a pose can do that); the outer eye corners are
    OUTER_EYE_DISTANCE_M apart (camera distances scale along); the head's origin lies between the ears.
    """
    coefficients, basis, shape = states.coefficients, model.basis, model.shape
    known = np.ones(len(states), bool) if valid is None else valid
    mean = coefficients[known].mean(0)
    shape = shape + np.tensordot(mean, basis, 1)
    coefficients = coefficients - mean
    if len(basis):
        basis = remove_rigid(basis, shape, rigidity)
        spread = coefficients[known] / np.sqrt(known.sum())
        _, singular, rows = np.linalg.svd(spread, full_matrices=False)
        half = (singular[:, None] * rows) @ basis[:, :N_FACE].reshape(len(basis), -1)
        u, _, _ = np.linalg.svd(half, full_matrices=False)
        mixing = u.T @ (singular[:, None] * rows)
        unmixing = np.linalg.pinv(mixing)
        basis = np.tensordot(mixing, basis, 1)
        coefficients = coefficients @ unmixing
    outer = shape[EYE_CORNERS[:, 0]]
    scale = OUTER_EYE_DISTANCE_M / np.linalg.norm(outer[1] - outer[0])
    states = States(states.rotation, states.translation * scale, coefficients)
    model = replace(model, shape=shape * scale, basis=basis * scale)
    return _recentre(model, states)


def _recentre(model: Model, states: States) -> tuple[Model, States]:
    """Symmetry plane onto x = 0 and the origin between the ears; poses follow."""
    turn = symmetry_alignment(model.shape[:N_FACE], MIRROR[:N_FACE])
    shape = model.shape @ turn.T
    shift = shape[EYE_CORNERS[:, 0]].mean(0) - np.array([0.0, 0.0, ORIGIN_BEHIND_EYES_M])
    shift[0] = ((shape[:N_FACE, 0] + shape[MIRROR[:N_FACE], 0]) / 2).mean()
    rotation = states.rotation @ turn.T
    translation = states.translation + rotation @ shift
    model = replace(model, shape=shape - shift, basis=model.basis @ turn.T)
    return model, States(rotation, translation, states.coefficients)


def set_frontal(model: Model, states: States, pitch: float) -> tuple[Model, States]:
    """Nod the head's axes by `pitch` radians about x, so that the person's usual pose has none."""
    cosine, sine = np.cos(pitch), np.sin(pitch)
    turn = np.array([[1.0, 0.0, 0.0], [0.0, cosine, -sine], [0.0, sine, cosine]])
    turned = replace(model, shape=model.shape @ turn.T, basis=model.basis @ turn.T)
    return _recentre(turned, States(states.rotation @ turn.T, states.translation, states.coefficients))


def remove_rigid(
    basis: Float[np.ndarray, "K P 3"], shape: Float[np.ndarray, "P 3"], rigidity: Float[np.ndarray, " P"]
) -> Float[np.ndarray, "K P 3"]:
    """Subtract from each expression the small rotation, shift and scaling that fit it best at the rigid points."""
    centred = shape - rigidity @ shape / rigidity.sum()
    modes = np.concatenate(
        [
            np.broadcast_to(np.eye(3)[:, None], (3, *shape.shape)),
            np.moveaxis(-cross_matrix(centred), -1, 0),
            centred[None],
        ]
    )
    root = np.sqrt(rigidity)[None, :, None]
    design = (modes * root).reshape(7, -1).T
    weights = np.linalg.lstsq(design, (basis * root).reshape(len(basis), -1).T, rcond=None)[0]
    return basis - np.tensordot(weights.T, modes, 1)

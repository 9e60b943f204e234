"""speaker.bin: what a page needs to move the person by any sound, with no gtalk behind it.

The whole of `PersonMotionModel.for_live()`: spectra and phones' Gaussians, the ears, the person's network and readout,
what shuts and rounds the lips, how the person rests, sways and blinks, and how all that becomes a row of a message
(`gtalk.export.web.message.frame_numbers`). Weights are half floats. The page's side is gtalk/export/web/listening/.

The Gaussians of the phones are CMU Sphinx's, in the wheel of PocketSphinx, under its licence (BSD, 2 clauses), which
goes along in the header.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import numpy as np

from gtalk.avatar.gaussian import GaussianAvatar
from gtalk.avatar.pose_code import CLAMP_MARGIN as POSE_MARGIN
from gtalk.avatar.pose_code import PLACE_UNITS, ROTATION_UNIT_RAD, TRANSLATION_UNIT_M
from gtalk.basis import CLAMP_MARGIN, MOUTH_GROUP, UPPER_GROUP, MotionBasis
from gtalk.errors import UserError
from gtalk.export.web.sections import write_sections
from gtalk.motion.model.articulation import Articulation
from gtalk.motion.model.labial_closure import LipClosure
from gtalk.motion.model.model import PersonMotionModel
from gtalk.motion.model.net import MotionNet
from gtalk.shapes import Float
from gtalk.speech.features import MEL_HIGH_HZ, MEL_LOW_HZ, N_MEL
from gtalk.speech.frontend import N_FFT
from gtalk.speech.mel import mel_filters
from gtalk.speech.phones import HIGH_HZ, LOW_HZ, N_CEPSTRA, N_FILTERS, PhoneScores, cepstrum_matrix, load_acoustic_model
from gtalk.speech.student import BLOCKS, QUIET, Student, load_student

MAGIC, VERSION = b"GTSP", 1
Arrays = dict[str, np.ndarray]


def pack_speaker(avatar: GaussianAvatar, model: PersonMotionModel, identity: dict[str, Any]) -> bytes:
    """The bytes of speaker.bin. Raises UserError for a motion model without ears."""
    model.needs_ears("--format web")
    live, groups = model.for_live(), model.features.groups
    header = {
        "version": VERSION,
        "generated": True,
        **identity,
        "fps": model.fps,
        "lookahead_s": round(live.lookahead_s, 4),
        "groups": {name: [where.start, where.stop] for name, where in groups.items()},
        "future_rows": live.future_rows,
        "ahead_rows": live.ahead_rows,
        "net": {**asdict(model.net_config), "past_rows": model.net.past_rows,
                "before": [int(getattr(block, "before")) for block in model.net.blocks]},  # noqa: B009
        "readout": None if live.readouts is None else {
            "share": live.readouts.share, "ahead_rows": live.readouts.live.ahead_rows},
        "ears": {"blocks": [list(block) for block in BLOCKS], "quiet": QUIET},
        "closure": _closure(live),
        "pulls": _pulls(live),
        "pauses": None if live.pauses is None else asdict(live.pauses),
        "sway": {"calm": live.sway.calm},
        "eyes": {"blink_rate_hz": live.eyes.blink_rate_hz, "blink_spread": live.eyes.blink_spread,
                 "dwell_s": live.eyes.dwell_s},
        "row": {"translation_unit_m": TRANSLATION_UNIT_M, "rotation_unit_rad": ROTATION_UNIT_RAD},
        "phones_by": "CMU Sphinx, en-us, of PocketSphinx; Copyright (c) 1999-2016 Carnegie Mellon University; "
                     "BSD 2-clause licence: github.com/cmusphinx/pocketsphinx/blob/master/LICENSE",
    }  # fmt: skip
    sections = {
        **_features(live),
        **_ears(load_student()),
        **_net(model.net),
        **_readout(live),
        **_lips(live),
        **_life(live),
        **_row(avatar, live),
    }
    return write_sections(MAGIC, header, sections)


def _features(model: PersonMotionModel) -> Arrays:
    prior = model.features.prior
    assert prior is not None, "a trained model expects a voice"
    out = {
        "mel": mel_filters(N_MEL, MEL_LOW_HZ, MEL_HIGH_HZ, N_FFT).T,
        "voice_mean": prior.mean,
        "voice_log_f0": np.array([prior.log_f0]),
    }
    halves = {}
    if model.features.phones:
        scores = PhoneScores(load_acoustic_model())
        bands = mel_filters(N_FILTERS, LOW_HZ, HIGH_HZ, N_FFT, on_bins=True).T
        out |= {"phone_bands": bands, "cepstra": cepstrum_matrix(), "phone_shift": scores.shift,
                "phone_scale": scores.scale, "phone_offset": scores.offset[:, :, 0]}  # fmt: skip
        scale = np.abs(scores.linear).max() / 6e4  # half floats end at 65504
        out["phone_linear_scale"] = np.array([scale])
        halves = {"phone_linear": scores.linear / scale, "phone_weights": scores.weights}
        assert scores.shift.shape[1] == N_CEPSTRA
    return {**_floats(out), **_halves(halves)}


def _ears(student: Student) -> Arrays:
    out = {"ears_stem": student.stem, "ears_stem_bias": student.stem_bias, "ears_out": student.out,
           "ears_out_bias": student.out_bias}  # fmt: skip
    for i, layer in enumerate(student.layers):
        out |= {f"ears_taps{i}": layer.taps, f"ears_bias{i}": layer.bias, f"ears_mix{i}": layer.mix,
                f"ears_mix_bias{i}": layer.mix_bias}  # fmt: skip
    return _halves({name: value.numpy() for name, value in out.items()})


def _net(net: MotionNet) -> Arrays:
    """Each convolution as a matrix [taps x inputs, outputs]; the first has the standardisation in it."""
    named = {"stem": net.stem, "down": net.down, "head": net.head, "out": net.out}
    for i, block in enumerate(net.blocks):
        named |= {f"conv{i}": getattr(block, "conv"), f"mix{i}": getattr(block, "mix")}  # noqa: B009
    out = {}
    for name, conv in named.items():
        weight = conv.weight.detach().numpy().transpose(2, 1, 0)
        assert conv.bias is not None
        weight, bias = weight.reshape(-1, weight.shape[2]), conv.bias.detach().numpy()
        if name == "stem":
            weight = net.scale.numpy()[:, None] * weight
            bias = bias - net.shift.numpy() @ weight
        out |= {f"net_{name}": weight, f"net_{name}_bias": bias}
    return _floats(out)


def _readout(model: PersonMotionModel) -> Arrays:
    if model.readouts is None:
        return {}
    return _floats({"readout": model.readouts.live.table, "readout_bias": model.readouts.live.bias})


def _closure(model: PersonMotionModel) -> dict[str, Any] | None:
    for one in model.articulations:
        if isinstance(one, LipClosure):
            return {"labials": one.labials, "mean_m": one.mean_m, "shut_m": one.shut_m, "strength": one.strength}
    return None


def _pulls(model: PersonMotionModel) -> dict[str, Any] | None:
    for one in model.articulations:
        if isinstance(one, Articulation):
            told = ("column", "least", "sure", "mean_m", "target_m")
            return {"strength": one.strength, "lag_rows": one.lag_rows,
                    "each": [{name: getattr(pull, name) for name in told} for pull in one.pulls]}  # fmt: skip
    return None


def _lips(model: PersonMotionModel) -> Arrays:
    out: Arrays = {"rest": model.face.rest, "brow_scale": model.brow_scale}
    mouth = model.basis.groups["mouth"]
    out |= {"mouth_low": model.basis.low[mouth], "mouth_high": model.basis.high[mouth]}
    for one in model.articulations:
        if isinstance(one, LipClosure):
            out["closure_per_code"] = one.per_code_m
        else:
            out["pulls_per_code"] = np.stack([pull.per_code_m for pull in one.pulls])
            out["pulls_step"] = np.stack([pull.step for pull in one.pulls])
    return _floats(out)


def _life(model: PersonMotionModel) -> Arrays:
    out = {f"sway_{name}": value for name, value in vars(model.sway).items() if name != "calm"}
    out |= {f"eyes_{name}": getattr(model.eyes, name) for name in
            ("blink_shapes", "gaze_mean", "gaze_of_head", "gaze_targets")}  # fmt: skip
    return _floats(out)


def _row(avatar: GaussianAvatar, model: PersonMotionModel) -> Arrays:
    """How mouth codes, lids, brows, gaze and the head's pose become a row: affine maps and limits."""
    basis, pose = avatar.basis, avatar.pose_code
    mean, spread = avatar.code_norm
    margin = CLAMP_MARGIN * (basis.high - basis.low)
    pose_margin = POSE_MARGIN * (pose.high - pose.low)
    out = {
        "to_mouth": _affine(basis, model.basis, "mouth"),
        "to_upper": _upper(basis, model),
        "code_low": basis.low - margin,
        "code_high": basis.high + margin,
        "code_mean": mean,
        "code_spread": spread,
        "mean_pose": model.mean_pose[:3].ravel(),
        "pose_mean": pose.T_world_mean[:3].ravel(),
        "pose_low": pose.low - pose_margin,
        "pose_high": pose.high + pose_margin,
        "regression": pose.regression,
        "predicted_low": pose.predicted_low,
        "predicted_high": pose.predicted_high,
        "place_units": PLACE_UNITS,
        "camera": avatar.camera.T_camera_world[:3].ravel(),
    }
    return _floats(out)


def _affine(basis: MotionBasis, own: MotionBasis, group: str) -> Float[np.ndarray, "F K"]:
    """[1, mouth codes of `own`] -> mouth codes of `basis`."""
    codes = np.zeros((1 + len(own.mouth), own.size))
    codes[1:, own.groups[group]] = np.eye(len(own.mouth))
    flat = (own.decode(codes) - basis.mean)[:, MOUTH_GROUP].reshape(len(codes), -1) @ basis.projections[0]
    flat[1:] -= flat[:1]
    return flat


def _upper(basis: MotionBasis, model: PersonMotionModel) -> Float[np.ndarray, "5 K"]:
    """[1, lids, brows] -> codes of the upper face, for openness and brows (metres)."""
    eyes, brows = np.zeros((5, 2)), np.zeros((5, 2))
    eyes[1:3], brows[3:] = np.eye(2), np.eye(2)
    flat = (model.face.upper_landmarks(eyes, brows) - basis.mean[UPPER_GROUP]).reshape(5, -1) @ basis.projections[1]
    flat[1:] -= flat[:1]
    return flat


def _floats(arrays: Arrays) -> Arrays:
    return {name: np.asarray(value, np.float64).astype("<f4") for name, value in arrays.items()}


def _halves(arrays: Arrays) -> Arrays:
    halves = {name: np.asarray(value).astype("<f2") for name, value in arrays.items()}
    if not all(np.isfinite(value).all() for value in halves.values()):
        raise UserError("speaker.bin", expected="weights within half floats", got="larger ones",
                        remedy="Train the motion model again.")  # fmt: skip
    return halves

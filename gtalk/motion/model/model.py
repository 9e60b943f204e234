"""The trained motion model of one person: files, and the stream from samples to Motion."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.numpy import load_file, save_file

from gtalk.basis import UPPER_GROUP, MotionBasis
from gtalk.compute.threads import on_one_thread
from gtalk.config import from_mapping
from gtalk.errors import UserError
from gtalk.files import atomic_path, write_json
from gtalk.geometry.pose import pose_matrices
from gtalk.motion.idle.blinks_gaze import BlinkGazeModel, EyeStream
from gtalk.motion.idle.head_motion import VOICE_ROWS, Sway, SwayStream, voice_columns
from gtalk.motion.model.articulation import Articulation, Targets, articulations
from gtalk.motion.model.face import FaceMap
from gtalk.motion.model.labial_closure import LipClosure
from gtalk.motion.model.net import ROWS_PER_FRAME, MotionNet, NetConfig, QuickNet
from gtalk.motion.model.pause_gate import PauseGate, PauseHabit
from gtalk.motion.model.readout import PAST_ROWS, Readouts
from gtalk.motion.model.storage import (
    FORMER_PARTS,
    check_finite,
    hollow_net,
    net_config_of,
    readout_arrays,
    readouts_of,
)
from gtalk.motion.model.vad_gate import AHEAD_ROWS, HANGOVER_ROWS, LEADS_ROWS, SilenceGate, activity_windows
from gtalk.reading.untrusted import check_numbers, member, read_json
from gtalk.rig.bank import load_bank
from gtalk.rig.expression import Recipe
from gtalk.shapes import Float
from gtalk.speech.features import SpeechFeatures
from gtalk.speech.known_phones import KnownPhones
from gtalk.speech.normalise import VoicePrior
from gtalk.speech.student import load_student
from gtalk.types import AUDIO_RATE, VIDEO_FPS, Motion

MOTION_MODEL_VERSION = 2  # 2: what the torso does is the avatar's to know; the regression of 1 is read over
_READABLE = (1, 2)
JSON_NAME, TENSORS_NAME = "motion.json", "motion.safetensors"
N_BROWS = 2
_OVER_S = 1.0  # after which phones that were known change no row any more


@dataclass(frozen=True)
class PersonMotionModel:
    """Speech -> motion of one person; a MotionModel."""

    basis: MotionBasis
    features: SpeechFeatures
    net_config: NetConfig
    net: MotionNet
    face: FaceMap
    sway: Sway
    eyes: BlinkGazeModel
    mean_pose: Float[np.ndarray, "4 4"]
    brow_scale: Float[np.ndarray, " 2"]
    """Metres per unit of the network's brow outputs."""
    bank: Float[np.ndarray, "N Km"]
    """Mouth codes of training frames, for edits that stay on the person's manifold."""
    facts: dict[str, Any]
    """Where the model comes from."""
    lead_rows: int = AHEAD_ROWS
    """How long before the sound this person opens the lips, in rows."""
    closure: float = 1.0
    """How far p, b and m that are heard shut the lips, 0 to 1, whatever the network says."""
    targets: Targets | None = None
    """What this person's lips do on f, v and rounded sounds, where the ears hear them."""
    pauses: PauseHabit | None = None
    """How this person's lips rest between phrases; live, since dubbed the next phrase is seen to come."""
    readouts: Readouts | None = None
    """A second opinion on the mouth, by the ears alone."""
    live: bool = False
    """Answer soon: lips open no earlier than `AHEAD_ROWS` before the sound."""
    expressions: Mapping[str, Recipe] = field(default_factory=dict)
    """The person's own, learned from a take."""

    fps = VIDEO_FPS

    def for_live(self) -> PersonMotionModel:
        """The same person in a hurry: the look-ahead is at most 160 ms."""
        return dataclasses.replace(self, live=True)

    @property
    def ahead_rows(self) -> int:
        """How far ahead the silence gate looks."""
        soon = min(AHEAD_ROWS, max(self.net_config.future_rows, VOICE_ROWS[-1]))
        return min(self.lead_rows, soon) if self.live else self.lead_rows

    @property
    def future_rows(self) -> int:
        """Rows after a frame's instant that it depends on."""
        heard = 0 if self.readouts is None else self.readouts.of(self.live).ahead_rows
        return max(self.net_config.future_rows, self.ahead_rows, heard, VOICE_ROWS[-1])

    @property
    def lookahead_s(self) -> float:
        """How much sound after an instant is needed before its frame is certain."""
        return self.features.lookahead_s + self.future_rows / self.features.rate_hz

    def needs_ears(self, what: str) -> None:
        """Raise UserError, in the name of `what`, for a model that was trained without the ears."""
        if not self.features.ears:
            raise UserError(
                what,
                expected="a motion model that listens through gtalk's ears",
                got="one from before",
                remedy="Train it again with `gtalk motion train DATASET -o AVATAR`.",
            )

    def stream(self, seed: int = 0) -> PersonMotionStream:
        """A fresh stream. The seed chooses the head motion, gaze and blinks."""
        return PersonMotionStream(self, seed)

    @cached_property
    def quick_net(self) -> QuickNet:
        """The network, for listening."""
        return QuickNet(self.net)

    @cached_property
    def articulations(self) -> tuple[LipClosure | Articulation, ...]:
        """What shuts the lips on p, b and m, and rounds them, by what the phone scores and the ears hear."""
        ahead = self.future_rows
        return articulations(self.features, self.basis, self.face.rest, self.targets, self.closure, ahead)

    @property
    def network_has_ears(self) -> bool:
        """Whether the network itself listens through the ears, so that no other ears would do."""
        return self.features.ears and bool(self.net.scale[self.features.groups["ears"]].any())

    @cached_property
    def prosody_columns(self) -> list[int]:
        """Where [loudness, pitch, activity] lie in a feature row; pitch is weighted by the voicing beside it."""
        pitch, energy = self.features.groups["pitch"].start, self.features.groups["energy"].start
        return [energy, pitch, energy + 1]


class PersonMotionStream:
    """One running utterance; a KnowingStream."""

    def __init__(self, model: PersonMotionModel, seed: int) -> None:
        self._model, self._n_rows = model, 0
        self._known: list[KnownPhones] = []
        self._features = model.features.stream()
        self._gate = SilenceGate()
        self._pauses = PauseGate(model.pauses, model.features) if model.live and model.pauses is not None else None
        self._sway, self._eyes = SwayStream(model.sway, seed), EyeStream(model.eyes, model.fps, seed)
        self._past = max(model.net.past_rows, HANGOVER_ROWS, PAST_ROWS, -VOICE_ROWS[0])
        self._future = model.future_rows
        self._rows = np.zeros((0, model.features.size), np.float32)  # the first is `_past` ahead of the next frame
        self._started = False

    def push(self, samples: Float[np.ndarray, " N"]) -> Motion:
        """Take samples and return the frames that are now certain."""
        with on_one_thread():
            return self._predict(self._append(self._features.push(samples)))

    def know(self, phones: KnownPhones) -> None:
        """See `KnowingStream`; a model without ears goes by the sound alone."""
        if self._model.features.ears and phones.visemes:
            self._known.append(phones)

    def forget(self) -> None:
        """See `KnowingStream`."""
        self._known.clear()
        if self._pauses is not None:
            self._pauses.cut()

    def finish(self) -> Motion:
        """No more samples: the remaining frames."""
        with on_one_thread():
            return self._rest()

    def _rest(self) -> Motion:
        self._append(self._features.finish())
        left = len(self._rows) - self._past if self._started else 0
        count = -(-left // ROWS_PER_FRAME)
        missing = max(0, (count - 1) * ROWS_PER_FRAME + self._past + self._future + 1 - len(self._rows))
        self._rows = np.concatenate([self._rows, np.repeat(self._rows[-1:], missing, axis=0)])
        return self._predict(max(0, count))

    def _append(self, rows: np.ndarray) -> int:
        """Keep rows; how many frames are now certain."""
        for known in self._known:
            rows = known.put_into(rows, self._model.features.groups["ears"], self._n_rows)
        self._n_rows += len(rows)
        now_s = self._n_rows / self._model.features.rate_hz
        self._known = [known for known in self._known if known.ends_s[-1] > now_s - _OVER_S]
        if len(rows) and not self._started:
            self._started = True
            self._rows = np.repeat(rows[:1], self._past, axis=0)
        self._rows = np.concatenate([self._rows, rows])
        return max(0, (len(self._rows) - self._past - self._future - 1) // ROWS_PER_FRAME + 1)

    def _predict(self, count: int) -> Motion:
        model, rows, now = self._model, self._rows, self._past
        code, brows = self._speak(count) if count else (np.zeros((0, len(model.basis.mouth))), np.zeros((0, N_BROWS)))
        prosody = rows[:, model.prosody_columns].astype(np.float64)
        prosody[:, 1] *= rows[:, model.features.groups["pitch"].start + 1]
        activity = prosody[now : now + count * ROWS_PER_FRAME : ROWS_PER_FRAME, 2][:count]
        sway = self._sway(voice_columns(prosody, now, count), activity)
        eyes, gaze = self._eyes(sway[:, :6])
        self._rows = rows[count * ROWS_PER_FRAME :]
        return _assembled(model, code, sway, eyes, gaze, brows + sway[:, 6:])

    def _speak(self, count: int) -> tuple[np.ndarray, np.ndarray]:
        """(gated mouth codes, brow raise that the voice asks for) of the next frames."""
        model, now = self._model, self._past
        activity = self._rows[:, model.prosody_columns[2]]
        gate = self._gate(activity_windows(activity, now, count, model.ahead_rows))[:, None]
        if self._pauses is not None:
            gate += (1.0 - gate) * self._pauses(self._rows, now, count, model.ahead_rows)[:, None]
        if not gate.any():  # who only listens need not be asked what the lips would do
            return np.tile(model.face.rest, (count, 1)), np.zeros((count, N_BROWS))
        first = now - model.net.past_rows
        window = self._rows[first : first + (count - 1) * ROWS_PER_FRAME + model.net.rows]
        out = model.quick_net(torch.from_numpy(window)).numpy().astype(np.float64)
        mouth, brows = out[:, :-N_BROWS], out[:, -N_BROWS:] * model.brow_scale
        if model.readouts is not None:
            mouth = model.readouts.mixed(mouth, self._rows, now, model.features, model.live)
        limit = model.basis.groups["mouth"]
        mouth = np.clip(mouth, model.basis.low[limit], model.basis.high[limit])
        for articulate in model.articulations:
            mouth = articulate(mouth, self._rows, now)
        return model.face.rest + gate * (mouth - model.face.rest), gate * brows


def _assembled(
    model: PersonMotionModel,
    mouth: np.ndarray,
    sway: np.ndarray,
    eyes: np.ndarray,
    gaze: np.ndarray,
    brows: np.ndarray,
) -> Motion:
    count = len(mouth)
    code = np.zeros((count, model.basis.size))
    code[:, model.basis.groups["mouth"]] = mouth
    landmarks = model.basis.decode(code)
    landmarks[:, UPPER_GROUP] = model.face.upper_landmarks(eyes, brows)
    poses = pose_matrices(sway[:, :6], model.mean_pose)
    return Motion(model.fps, landmarks, eyes, gaze, brows, poses, np.ones(count, bool))


def save_motion_model(model: PersonMotionModel, folder: Path) -> None:
    """Write motion.safetensors, then motion.json: with the latter the model is whole."""
    folder = Path(folder)
    arrays = {f"basis.{name}": value for name, value in model.basis.to_arrays().items()}
    arrays |= {f"net.{name}": value.detach().numpy() for name, value in model.net.state_dict().items()}
    for name in ("face", "sway", "eyes"):
        arrays |= {f"{name}.{k}": np.asarray(v) for k, v in vars(getattr(model, name)).items()}
    arrays |= {name: getattr(model, name) for name in ("mean_pose", "brow_scale", "bank")}
    assert model.features.prior is not None
    arrays |= readout_arrays(model.readouts)
    arrays |= {"voice.mean": model.features.prior.mean, "voice.log_f0": np.asarray(model.features.prior.log_f0)}
    with atomic_path(folder / TENSORS_NAME) as temporary:
        save_file({name: np.ascontiguousarray(_stored(value)) for name, value in arrays.items()}, temporary)
    settings = {
        "schema_version": MOTION_MODEL_VERSION,
        "kind": "person",
        "net": dataclasses.asdict(model.net_config),
        "phones": model.features.phones,
        "ears": load_student().name if model.network_has_ears else "",
        "articulation": model.features.ears,
        "readouts": None if model.readouts is None else [load_student().name, model.readouts.share],
        "lead_rows": model.lead_rows,
        "closure": model.closure,
        "targets": None if model.targets is None else dataclasses.asdict(model.targets),
        "pauses": None if model.pauses is None else dataclasses.asdict(model.pauses),
        "facts": model.facts,
    }
    write_json(folder / JSON_NAME, settings)


def has_motion_model(folder: Path) -> bool:
    """Whether an avatar folder holds a motion model."""
    return (Path(folder) / JSON_NAME).is_file()


def load_motion_model(folder: Path) -> PersonMotionModel:
    """Read a motion model from an avatar folder. Raises UserError when there is none or it is damaged."""
    folder = Path(folder)
    if not has_motion_model(folder):
        raise UserError(
            f"avatar {folder}",
            expected=f"a motion model ({JSON_NAME})",
            got="none",
            remedy="Run `gtalk motion train DATASET -o AVATAR`.",
        )
    own = load_bank(folder)
    try:
        settings = read_json(member(folder, JSON_NAME))
        version = settings["schema_version"]
        if version not in _READABLE or settings["kind"] != "person":
            raise ValueError(f"kind {settings['kind']!r}, schema_version {version!r}")
        arrays = load_file(member(folder, TENSORS_NAME))
        model = dataclasses.replace(_from_arrays(settings, arrays), expressions=own)
        _try(model)
        return model
    except Exception as error:  # whatever a stranger's file does to us, it is the file that is at fault
        raise UserError(
            f"motion model in {folder}",
            expected=f"whole files {JSON_NAME} and {TENSORS_NAME}, schema_version {MOTION_MODEL_VERSION}",
            got=f"{type(error).__name__}: {error}",
            remedy="Train it again with `gtalk motion train DATASET -o AVATAR`.",
        ) from error


def _from_arrays(settings: dict[str, Any], arrays: dict[str, np.ndarray]) -> PersonMotionModel:
    check_finite(arrays)

    def group(prefix: str) -> dict[str, np.ndarray]:
        return {k.removeprefix(prefix): v for k, v in arrays.items() if k.startswith(prefix)}

    net_config = net_config_of(settings["net"])
    basis = MotionBasis.from_arrays(group("basis."))
    prior = VoicePrior(_double(arrays["voice.mean"]), arrays["voice.log_f0"].item())
    ears = bool(settings.get("ears"))
    features = SpeechFeatures(bool(settings["phones"]), prior, ears or bool(settings.get("articulation")))
    if ears and settings["ears"] != load_student().name:
        raise ValueError(f"made with other ears ({settings['ears']}) than this gtalk's ({load_student().name})")
    net = hollow_net(features.size, len(basis.mouth) + N_BROWS, net_config)
    weights = {k: torch.from_numpy(v) for k, v in group("net.").items() if not k.startswith(FORMER_PARTS)}
    net.load_state_dict(weights, assign=True)
    face, sway, eyes = (
        _dataclass(kind, group(p)) for kind, p in ((FaceMap, "face."), (Sway, "sway."), (BlinkGazeModel, "eyes."))
    )
    rest: dict[str, Any] = {name: _double(arrays[name]) for name in ("mean_pose", "brow_scale", "bank")}
    lead = int(settings.get("lead_rows", AHEAD_ROWS))
    if not AHEAD_ROWS <= lead <= LEADS_ROWS[-1]:
        raise ValueError(f"lead_rows {lead}")
    closure = float(settings.get("closure", 1.0))
    if not 0.0 <= closure <= 1.0:
        raise ValueError(f"closure {closure}")
    rest |= {"facts": settings["facts"], "lead_rows": lead, "closure": closure}
    for name, kind in (("targets", Targets), ("pauses", PauseHabit)):
        if settings.get(name) is not None:
            check_numbers(settings[name], 8.0, name)
            rest[name] = from_mapping(kind, settings[name], name)
    rest["readouts"] = readouts_of(settings.get("readouts"), group("readout."), len(basis.mouth), net_config)
    return PersonMotionModel(basis, features, net_config, net.eval(), face, sway, eyes, **rest)


def _try(model: PersonMotionModel) -> None:
    """A quarter of a second of silence goes through, which finds every shape and number that does not fit."""
    stream = model.stream()
    motion = Motion.concatenate([stream.push(np.zeros(AUDIO_RATE // 4, np.float32)), stream.finish()])
    if not all(np.isfinite(value).all() for value in (motion.landmarks, motion.head_pose, motion.eyes, motion.gaze)):
        raise ValueError("its motion is not finite")


def _dataclass(kind: Any, arrays: dict[str, np.ndarray]) -> Any:
    convert: dict[str, Any] = {"float": lambda v: float(v.item()), "bool": lambda v: bool(v.item())}
    return kind(**{f.name: convert.get(str(f.type), _double)(arrays[f.name]) for f in dataclasses.fields(kind)})


def _double(value: np.ndarray) -> np.ndarray:
    return np.asarray(value, np.float64)


def _stored(value: np.ndarray) -> np.ndarray:
    return value.astype(np.uint8) if value.dtype == bool else value

"""Teaching: crops of changed lessons, AdamW, averaged weights; a state on disk after every two minutes."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
import torch
from safetensors.numpy import save_file
from torch import nn
from torch.nn import functional as F

from gtalk.files import atomic_path
from gtalk.speech.student import (
    BLOCKS,
    KERNEL,
    LAG_ROWS,
    N_BANDS,
    N_HIDDEN,
    STEM_ROWS,
    STUDENT_VERSION,
    VISEMES,
    load_student,
)
from tools.make.ears.borders import realigned
from tools.make.ears.elders import N_HAMA, N_WHISPER, Elders
from tools.make.ears.phones import LETTERS
from tools.make.ears.spectra import UNKNOWN, Lesson, Ordeal, mel_rows, read_lesson, warped

REACH = sum((KERNEL - 1) * dilation for dilation, _ in BLOCKS)
FUTURE = sum(dilation * future for dilation, future in BLOCKS)
PAST_ROWS = 2 * (REACH - FUTURE) + STEM_ROWS - 2
assert 2 * FUTURE + 1 == LAG_ROWS

_KINDS = {"flite": 1, "espeak": 2}
_SHARES = (0.65, 0.12, 0.23)
"""Of the lessons by Kokoro, flite and espeak-ng."""


@dataclass(frozen=True)
class TeachConfig:
    """How."""

    width: int = 128
    """Channels."""
    steps: int = 1500
    """Gradient steps."""
    batch: int = 16
    """Crops in a step."""
    frames: int = 160
    """Of a crop, 50 a second."""
    learning_rate: float = 2e-3
    """It falls to nothing over the last 40 % of the steps."""
    averaging: float = 0.998
    """Decay of the average of the weights, which is what is kept."""
    letters: float = 0.3
    """Weight of naming the phone from the hidden numbers."""
    elders: float = 0.7
    """Weight of following the larger recognisers from the hidden numbers."""
    bfloat16: bool = True
    """Multiply in bfloat16: half the time where the processor knows it, the same weights within noise."""
    seed: int = 0
    """Of everything random."""


class Pupil(nn.Module):
    """The student while it learns: batch normalisation, which `folded` removes, and heads that are thrown away."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.stem = nn.Conv1d(N_BANDS, width, STEM_ROWS, stride=2)
        self.convs = nn.ModuleList(nn.Conv1d(width, width, KERNEL, dilation=d, bias=False) for d, _ in BLOCKS)
        self.norms = nn.ModuleList(nn.BatchNorm1d(width) for _ in BLOCKS)
        self.mixes = nn.ModuleList(nn.Conv1d(width, width, 1) for _ in BLOCKS)
        self.out = nn.Conv1d(width, len(VISEMES) + N_HIDDEN, 1)
        self.letters = nn.Conv1d(N_HIDDEN, len(LETTERS), 1)
        self.elders = nn.Conv1d(N_HIDDEN, N_HAMA + N_WHISPER, 1)
        for mix in self.mixes:
            nn.init.normal_(mix.weight, std=0.2 / width**0.5)

    def forward(self, mel: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """[B,40,R] -> ([B,13,T] scores, [B,32,T] hidden)."""
        x = self.stem(mel)
        for (dilation, future), conv, norm, mix in zip(BLOCKS, self.convs, self.norms, self.mixes, strict=True):
            count = x.shape[2] - (KERNEL - 1) * dilation
            centre = (KERNEL - 1 - future) * dilation
            x = x[:, :, centre : centre + count] + mix(F.relu(norm(conv(x))))
        out = self.out(F.relu(F.dropout1d(x, 0.1, self.training)))
        return out[:, : len(VISEMES)], torch.tanh(out[:, len(VISEMES) :])

    @torch.no_grad()
    def folded(self) -> dict[str, np.ndarray]:
        """Arrays of `gtalk.speech.student`, half precision."""
        arrays = {"stem": self.stem.weight.permute(2, 1, 0).flatten(0, 1), "stem_bias": self.stem.bias}
        # The student's window is cut as [row, band]; a convolution's as [band, row].
        for i, (conv, norm, mix) in enumerate(zip(self.convs, self.norms, self.mixes, strict=True)):
            gain = norm.weight / torch.sqrt(norm.running_var + norm.eps)
            arrays[f"taps{i}"] = (conv.weight * gain[:, None, None]).permute(2, 1, 0).flatten(0, 1)
            arrays[f"bias{i}"] = norm.bias - norm.running_mean * gain
            arrays[f"mix{i}"], arrays[f"mix_bias{i}"] = mix.weight[:, :, 0].T, mix.bias
        arrays |= {"out": self.out.weight[:, :, 0].T, "out_bias": self.out.bias}
        return {name: np.ascontiguousarray(value.numpy().astype(np.float16)) for name, value in arrays.items()}


class School:
    """All lessons, with what the elders heard in them."""

    def __init__(
        self, corpus: Path, elders: Elders, config: TeachConfig, basis: dict[str, torch.Tensor] | None = None
    ) -> None:
        paths = sorted(path for path in corpus.glob("*.json") if not path.name.startswith("test"))
        read, student = (read_lesson(path) for path in paths), load_student()
        self.lessons = [lesson if _kind(lesson) else realigned(lesson, student) for lesson in read]
        heard = [_heard(path, elders) for path in paths]
        sample = np.concatenate([rows[::7] for rows in heard]).astype(np.float32)
        mean = sample.mean(0) if basis is None else basis["mean"].numpy()
        table = _components(sample - mean) if basis is None else basis["table"].numpy()
        self.basis = {"mean": torch.from_numpy(mean), "table": torch.from_numpy(table)}
        self._heard = [((rows.astype(np.float32) - mean) @ table).astype(np.float16) for rows in heard]
        self._config = config
        kinds = [_kind(lesson) for lesson in self.lessons]
        groups = [[i for i, kind in enumerate(kinds) if kind == wanted] for wanted in range(len(_SHARES))]
        shares = np.array([share * (len(group) > 0) for share, group in zip(_SHARES, groups, strict=True)])
        self._groups, self._shares = groups, shares / shares.sum()
        babble = [lesson.power for lesson, kind in zip(self.lessons, kinds, strict=True) if kind != 2][:200]
        babble = babble or [lesson.power for lesson in self.lessons]
        self.ordeal = Ordeal(babble, config.seed)
        counts = np.bincount(np.concatenate([lesson.viseme for lesson in self.lessons]) + 1, minlength=len(VISEMES) + 1)
        weights = np.maximum(counts[1:], 1) ** -0.7
        self.weights = torch.from_numpy(weights / weights.mean()).float()

    @property
    def minutes(self) -> float:
        """Of speech."""
        return sum(len(lesson.power) for lesson in self.lessons) / 6000

    def batch(self, rng: np.random.Generator) -> tuple[torch.Tensor, ...]:
        """([B,40,R] mel, [B,T] visemes, [B,T] letters, [B,72,T] elders)."""
        crops = [self._crop(rng) for _ in range(self._config.batch)]
        return tuple(torch.from_numpy(np.stack(part)) for part in zip(*crops, strict=True))

    def _crop(self, rng: np.random.Generator) -> tuple[np.ndarray, ...]:
        wanted = 2 * self._config.frames
        size = PAST_ROWS + wanted + LAG_ROWS
        powers, visemes, letters, heard, length = [], [], [], [], 0
        while length < size:
            group = self._groups[rng.choice(len(self._groups), p=self._shares)]
            index = int(rng.choice(group))
            lesson = self.lessons[index]
            start = 0 if powers else int(rng.integers(len(lesson.power) // 2))
            power, at = warped(lesson.power[start:], rng, size - length)
            near = np.round(at).astype(int) + start
            gap = int(rng.exponential(35)) + 2
            powers += [power, _gap(gap, power, rng)]
            visemes += [lesson.viseme[near], np.zeros(gap, np.int64)]
            letters += [lesson.letter[near], np.zeros(gap, np.int64)]
            own = self._heard[index]
            heard += [own[np.minimum(near // 2, len(own) - 1)], np.full((gap, own.shape[1]), np.nan, np.float16)]
            length += len(power) + gap
        power, viseme, letter, target = (np.concatenate(part)[:size] for part in (powers, visemes, letters, heard))
        power, mean = self.ordeal(power, viseme > 0, rng)
        at = np.arange(self._config.frames) * 2 + PAST_ROWS
        return mel_rows(power, mean).T.astype(np.float32), viseme[at], letter[at], target[at].T.astype(np.float32)


def teach(corpus: Path, parts: Path, output: Path, config: TeachConfig, minutes: float = math.inf) -> None:
    """Train, or go on where OUTPUT.state ends (with lessons that are new), and write OUTPUT; so many minutes."""
    torch.manual_seed(config.seed)
    pupil, kept = Pupil(config.width), Pupil(config.width)
    optimiser = torch.optim.AdamW(pupil.parameters(), config.learning_rate, weight_decay=0.02)
    state, first, basis = output.with_suffix(".state"), 1, None
    if state.exists():
        saved = torch.load(state, weights_only=True)
        pupil.load_state_dict(saved["pupil"])
        kept.load_state_dict(saved["kept"])
        optimiser.load_state_dict(saved["optimiser"])
        first, basis = saved["step"] + 1, saved["basis"]
    school = School(corpus, Elders(parts), config, basis)
    print(f"{len(school.lessons)} lessons, {school.minutes:.1f} minutes", flush=True)
    started = last = time.monotonic()
    for step in range(first, config.steps + 1):
        terms = _step(pupil, school, optimiser, step, config)
        _average(kept, pupil, min(config.averaging, 1 - 1 / step))
        now = time.monotonic()
        over = step == config.steps or now - started > 60 * minutes
        if step % 25 == 0 or over:
            left = (now - started) / (step - first + 1) * (config.steps - step)
            named = " ".join(f"{name} {value:.3f}" for name, value in terms.items())
            print(f"{step}/{config.steps} {named}, {left / 60:.1f} min left", flush=True)
        if now - last > 120 or over:
            last = now
            write(kept, output, config, school.minutes, step)
            facts = {"step": step, "basis": school.basis, "optimiser": optimiser.state_dict()}
            with atomic_path(state) as temporary:
                torch.save(facts | {"pupil": pupil.state_dict(), "kept": kept.state_dict()}, temporary)
        if over:
            return


def write(pupil: Pupil, output: Path, config: TeachConfig, minutes: float, step: int) -> None:
    """The weights as the package carries them."""
    facts = {
        "version": str(STUDENT_VERSION),
        "width": str(config.width),
        "minutes": f"{minutes:.0f}",
        "step": str(step),
        "teachers": "Kokoro-82M (Apache-2.0), flite, espeak-ng, hama 1.7.0 (Apache-2.0), Whisper tiny.en (MIT)",
    }
    with atomic_path(output) as temporary:
        save_file(pupil.folded(), temporary, metadata=facts)


def _step(
    pupil: Pupil, school: School, optimiser: torch.optim.Optimizer, step: int, config: TeachConfig
) -> dict[str, float]:
    mel, viseme, letter, heard = school.batch(np.random.default_rng([config.seed, step]))
    left = (config.steps - step + 1) / (0.4 * config.steps)
    optimiser.param_groups[0]["lr"] = config.learning_rate * min(1.0, step / 50, left)
    pupil.train()
    with torch.autocast("cpu", torch.bfloat16, enabled=config.bfloat16):
        scores, hidden = pupil(mel)
        letters, guess = pupil.letters(hidden), pupil.elders(hidden)
    scores, letters, guess = scores.float(), letters.float(), guess.float()
    known = torch.isfinite(heard)
    away = torch.where(known, guess - torch.nan_to_num(heard), torch.zeros(()))
    terms = {
        "visemes": F.cross_entropy(scores, viseme, school.weights, ignore_index=UNKNOWN, label_smoothing=0.03),
        "letters": config.letters * F.cross_entropy(letters, letter),
        "elders": config.elders * (away**2).sum() / known.sum().clamp(min=1),
    }
    loss = torch.stack(list(terms.values())).sum()
    optimiser.zero_grad(set_to_none=True)
    if not math.isfinite(float(loss.detach())):
        raise SystemExit(f"step {step}: the loss is not finite; the last state is kept")
    loss.backward()
    nn.utils.clip_grad_norm_(pupil.parameters(), 1.0)
    optimiser.step()
    return {name: float(value.detach()) for name, value in terms.items()}


@torch.no_grad()
def _average(kept: nn.Module, pupil: nn.Module, decay: float) -> None:
    for a, b in zip(kept.state_dict().values(), pupil.state_dict().values(), strict=True):
        if a.dtype.is_floating_point:
            a.lerp_(b, 1 - decay)
        else:
            a.copy_(b)


def _kind(lesson: Lesson) -> int:
    """0 for one by Kokoro."""
    return _KINDS.get(lesson.voice.split("+")[0], 0)


def _heard(path: Path, elders: Elders) -> np.ndarray:
    """[T,528] float16, kept beside the sound."""
    cache = path.with_suffix(".npy")
    if not cache.exists():
        rows = elders.hear(soundfile.read(path.with_suffix(".wav"), dtype="float32")[0])
        with atomic_path(cache) as temporary, open(temporary, "wb") as file:
            np.save(file, rows)
    return np.load(cache)


def _components(rows: np.ndarray) -> np.ndarray:
    """[528,72]: principal components of each elder, half whitened, mean square one."""
    parts, at = [], 0
    for size, count in ((144, N_HAMA), (384, N_WHISPER)):
        values, vectors = np.linalg.eigh(np.cov(rows[:, at : at + size].T))
        values, vectors = values[::-1][:count], vectors[:, ::-1][:, :count]
        scaled = vectors / values**0.25
        scaled /= np.sqrt(np.mean(values**0.5))
        block = np.zeros((rows.shape[1], count))
        block[at : at + size] = scaled
        parts.append(block)
        at += size
    return np.concatenate(parts, 1).astype(np.float32)


def _gap(count: int, power: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """[count,257] log1p power of a pause: nothing, or a breath."""
    gap = np.zeros((count, power.shape[1]), np.float32)
    if count > 20 and rng.random() < 0.5:
        level = float(np.quantile(power, 0.9)) - rng.uniform(2.0, 6.0)
        shape = np.interp(np.arange(power.shape[1]), (0, 12, 40, 90, 257), (-4, -1, 0, -0.7, -3))
        rise = np.sin(np.linspace(0.1, np.pi - 0.1, count))[:, None]
        gap = level + shape[None] + 2.5 * (rise - 1) + np.log(rng.exponential(1.0, gap.shape) + 1e-3)
        gap = np.maximum(gap, 0.0).astype(np.float32)
    return gap

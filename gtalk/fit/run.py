"""`gtalk fit`: a dataset folder becomes an avatar folder, whichever renderer is chosen."""

from __future__ import annotations

import difflib
import importlib
import json
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from gtalk.avatar.base import Consent
from gtalk.avatar.bundle import load_avatar, read_avatar_json, save_avatar
from gtalk.compute.device import resolve_device
from gtalk.config import load_preset, load_yaml
from gtalk.dataset.format import Dataset
from gtalk.errors import UserError
from gtalk.files import require_writable_folder, sha256_of_json
from gtalk.fit.events import DoneEvent, FitEvent, StartEvent
from gtalk.fit.setup import config_values
from gtalk.fit.trainer import CHECKPOINT_NAME, train
from gtalk.ops import native

# Each module offers FitConfig (a frozen dataclass with a `trainer: TrainerConfig`) and make_model(config).
RENDERERS = {"radiance": "gtalk.fit.radiance.model", "gaussian": "gtalk.fit.gaussian.model"}


def load_config(renderer: str, preset_or_path: str) -> Any:
    """The fit config of a renderer: a preset's name (cpu, gpu, quality) or the path of a YAML file."""
    kind = _renderer(renderer).FitConfig
    if preset_or_path.endswith((".yaml", ".yml")):
        return load_yaml(kind, Path(preset_or_path))
    return load_preset(kind, renderer, preset_or_path)


def fit(
    dataset_path: Path,
    avatar_path: Path,
    renderer: str,
    config: Any,
    consent: Consent,
    *,
    resume: bool = True,
    take: Path | None = None,
) -> Iterator[FitEvent]:
    """Fit an avatar to a dataset and save it. Yields events; the avatar is on disk before DoneEvent.

    `config` is what `load_config` returns, `take` the dataset of an expression take of
    the same person. A killed fit goes on where its last checkpoint was.
    Raises UserError when the renderer is unknown, the dataset or weights of LPIPS
    unusable or the output not writable.
    """
    module = _renderer(renderer)
    dataset, folder = Dataset(Path(dataset_path)), Path(avatar_path)
    require_writable_folder(folder)
    shown = None if take is None else Dataset(Path(take))
    yield StartEvent(_backend(renderer, resolve_device(config.device).type))
    for event in train(module.make_model(config), dataset, folder, config.trainer, resume=resume, take=shown):
        if isinstance(event, DoneEvent):
            middle = len(dataset.motion) // 2
            provenance = {
                "dataset_sha256": sha256_of_json(dataset.manifest),
                **({} if shown is None else {"take_sha256": sha256_of_json(shown.manifest)}),
                "sources": dataset.manifest.get("sources", []),
                "config": config_values(config),
                "metrics": event.metrics,
            }
            save_avatar(
                folder, event.avatar, provenance=provenance, consent=consent, preview_motion=dataset.motion[middle]
            )
            (folder / CHECKPOINT_NAME).unlink(missing_ok=True)
        yield event


def is_fitted(
    dataset_path: Path, avatar_path: Path, renderer: str, config: Any, consent: Consent, take: Path | None = None
) -> bool:
    """Whether the folder holds what `fit` would make of these arguments, whole.

    Raises UserError when the dataset is unusable.
    """
    dataset, folder = Dataset(Path(dataset_path)), Path(avatar_path)
    try:
        facts = read_avatar_json(folder)
        load_avatar(folder)
    except UserError:
        return False
    known = asdict(Consent.of(facts["consent"]))
    made_of = (facts["kind"], known, *(facts["provenance"].get(n) for n in ("dataset_sha256", "take_sha256", "config")))
    seen = sha256_of_json(dataset.manifest), None if take is None else sha256_of_json(Dataset(Path(take)).manifest)
    plain = json.loads(json.dumps([renderer, asdict(consent), *seen, config_values(config)]))
    return list(made_of) == plain and not (folder / CHECKPOINT_NAME).exists()


def _backend(renderer: str, device: str) -> str:
    """What the fit's operators run on, in words."""
    if renderer == "gaussian" and device == "cuda":
        return "gsplat on cuda (compiled at its first use on a machine, which takes minutes)"
    return native.backend(device)


def _renderer(name: str) -> Any:
    if name not in RENDERERS:
        nearest = difflib.get_close_matches(name, RENDERERS, n=1, cutoff=0.4)
        remedy = f"Did you mean `{nearest[0]}`?" if nearest else "Name one of these."
        raise UserError("renderer", expected=f"one of: {', '.join(RENDERERS)}", got=name, remedy=remedy)
    return importlib.import_module(RENDERERS[name])

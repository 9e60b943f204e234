"""Option types that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import tyro

AvatarFolder = Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="AVATAR")]
OutputPath = Annotated[Path, tyro.conf.arg(aliases=["-o"], metavar="OUT")]
Datasets = Annotated[
    tyro.conf.Positional[tuple[Path, ...]],
    tyro.conf.arg(metavar="DATASET [DATASET ...]", help_behavior_hint="(at least one)"),
]

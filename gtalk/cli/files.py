"""`gtalk assets`: the optional model files."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro

from gtalk.errors import UserError
from gtalk.reading import assets


@dataclass(frozen=True)
class Assets:
    """List, fetch or add optional model files. Everything works without them.

    gtalk assets list

    gtalk assets get face_landmarker.task

    gtalk assets add ./face_landmarker.task
    """

    action: tyro.conf.Positional[Literal["list", "get", "add"]] = "list"
    """list what exists and what is present; get a file by name; add a file that you have."""
    name: Annotated[tyro.conf.Positional[str], tyro.conf.arg(metavar="NAME", help_behavior_hint="")] = ""
    """Name of the file (get) or its path (add)."""

    def run(self) -> None:
        """Do it."""
        if self.action == "list":
            for asset in assets.ASSETS.values():
                state = assets.find_asset(asset.name) or "not present"
                print(f"{asset.name}  {asset.size_bytes / 1e6:.1f} MB  {asset.licence}  {asset.use}\n    {state}")
            return
        if not self.name:
            raise UserError("NAME", expected="a file's name", got="nothing", remedy="See `gtalk assets list`.")
        if self.action == "add":
            print(assets.add_asset(Path(self.name)))
            return
        from gtalk.cli.bars import Bars

        with Bars() as bars:
            path = assets.get_asset(self.name, bars)
        print(path)

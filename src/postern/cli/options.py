"""Options that many commands have. Light: commands that need no server import it on every system."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from postern.cli.language import _

Config = Annotated[Path | None, Parameter(name=["--config", "-c"], help=_("Settings file (postern.toml)."))]
Json = Annotated[bool, Parameter(name="--json", negative="", help=_("Print JSON."))]

"""Where things are that others have published and that are no part of this project: beside the checkout, or named."""

from __future__ import annotations

import os
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def folder(variable: str, name: str) -> Path | None:
    """The folder that an environment variable names, or ../shared/reference/NAME; None: not at hand."""
    if named := os.environ.get(variable):
        return Path(named)
    beside = [ROOT.parent]
    link = ROOT / ".git"
    if link.is_file():  # a second working tree: the folder is beside the first
        beside.append(Path(link.read_text().partition(":")[2].strip()).parents[3])
    found = (place / "shared" / "reference" / name for place in beside)
    return next((one for one in found if one.is_dir()), None)

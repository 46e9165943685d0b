"""Where the load generator is."""

from __future__ import annotations

import os
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def bench_tools() -> Path:
    """The folder of `mailbench.py` and `peers.sh`: $POSTERN_BENCH, or ../shared/bench."""
    folder = Path(os.environ.get("POSTERN_BENCH", ROOT.parent / "shared" / "bench"))
    if not (folder / "mailbench.py").exists():
        sys.exit(f"The load generator is not in {folder}; name its folder in POSTERN_BENCH.")
    return folder

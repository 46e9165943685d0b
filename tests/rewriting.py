"""Test modules rewritten once for all workers: each would do it for itself, at the same time, for half a minute."""

from __future__ import annotations

import multiprocessing
import os
import sys
from pathlib import Path

from _pytest.assertion import rewrite
from _pytest.config import Config


def rewrite_all(root: Path, config: Config) -> int:
    """Rewrite what has changed since the last time, as pytest does at an import; how many modules that were."""
    if sys.dont_write_bytecode:
        return 0
    stale = [path for pattern in ("test_*.py", "conftest.py") for path in root.rglob(pattern) if not _known(path)]
    if len(stale) < 20:
        return 0  # not worth processes
    shares = [(stale[number :: os.cpu_count() or 1], config) for number in range(os.cpu_count() or 1)]
    context = multiprocessing.get_context("fork")
    processes = [context.Process(target=_rewrite, args=share) for share in shares]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    return len(stale)


def _cached(path: Path) -> Path:
    return rewrite.get_cache_dir(path) / (path.name[:-3] + rewrite.PYC_TAIL)


def _known(path: Path) -> bool:
    return rewrite._read_pyc(path, _cached(path)) is not None


def _rewrite(paths: list[Path], config: Config) -> None:
    state = config.stash[rewrite.assertstate_key]
    for path in paths:
        found, code = rewrite._rewrite_test(path, config)
        cached = _cached(path)
        cached.parent.mkdir(exist_ok=True)
        rewrite._write_pyc(state, code, found, cached)

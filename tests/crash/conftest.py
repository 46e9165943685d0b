"""Where the crashes happen."""

import os
import shutil
import tempfile
from pathlib import Path

import pytest

from postern.store import blobs


@pytest.fixture
def room(monkeypatch):
    """Memory, if there is some: a killed process leaves the same there as on a disk, and power cuts are played."""
    where = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    if where:
        # it cannot say what is in memory, as all of it is: each body would be read in a thread
        monkeypatch.setattr(blobs, "_NOWAIT", 0)
    path = Path(tempfile.mkdtemp(prefix="postern-", dir=where))
    yield path
    shutil.rmtree(path)

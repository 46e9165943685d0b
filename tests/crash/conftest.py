"""Where the crashes happen."""

import os
import shutil
import tempfile
from pathlib import Path

import pytest


@pytest.fixture
def room():
    """Memory, if there is some: a killed process leaves the same there as on a disk, and power cuts are played."""
    where = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    path = Path(tempfile.mkdtemp(prefix="postern-", dir=where))
    yield path
    shutil.rmtree(path)

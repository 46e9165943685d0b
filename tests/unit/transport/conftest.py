from __future__ import annotations

import pytest
from transport_doubles import FixedEntropy, ManualClock, TinyDirectory


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def entropy() -> FixedEntropy:
    return FixedEntropy()


@pytest.fixture
def directory() -> TinyDirectory:
    return TinyDirectory()

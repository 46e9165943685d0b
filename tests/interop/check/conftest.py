"""Tools for asking real servers."""

from __future__ import annotations

import pytest

from postern.catalogue.schema import Level, Names
from postern.checks.model import Expectation, Service, Tls
from postern.checks.running import check
from postern.checks.wire import Tools
from postern.net.clock import SystemClock, SystemEntropy


@pytest.fixture
def ask():
    """Ask one service as `postern check` does; the outcome."""

    async def call(address, port, protocol, tls=Tls.NONE, *, names=(), trust=None, expect=None, **more):
        wanted = Expectation("test", Names("test"), tls, Level.OPTIONAL, **(expect or {}))
        service = Service(
            host="server", address=address, port=port, protocol=protocol, tls=tls, names=names,
            expectations=(wanted,), **more,
        )  # fmt: skip
        return await check(service, Tools(SystemClock(), SystemEntropy(), timeout_s=5.0, trust=trust))

    return call


@pytest.fixture
def codes():
    return lambda outcome: [finding.code for finding in outcome.findings]

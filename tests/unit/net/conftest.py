"""A listener on loopback with a throw-away certificate."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import trustme
import uvloop

from postern.net.listener import Listener, bind, serve
from postern.net.stream import Stream
from postern.net.tls import ServerContext, server_context


def pytest_asyncio_loop_factories(config: pytest.Config, item: pytest.Item) -> dict[str, Callable[[], Any]]:
    """Both loops: asyncio's, and the one the server runs on."""
    return {"asyncio": asyncio.SelectorEventLoop, "uvloop": uvloop.new_event_loop}


@pytest.fixture(scope="session")
def context(tmp_path_factory: pytest.TempPathFactory) -> ServerContext:
    folder: Path = tmp_path_factory.mktemp("tls")
    certificate = trustme.CA().issue_cert("localhost", "127.0.0.1")
    certificate.private_key_pem.write_to_path(folder / "key.pem")
    certificate.cert_chain_pems[0].write_to_path(folder / "cert.pem")
    return server_context(folder / "cert.pem", folder / "key.pem")


@asynccontextmanager
async def listening(
    handler: Callable[[Stream], Awaitable[None]], tls: ServerContext | None = None
) -> AsyncIterator[tuple[Listener, int]]:
    sock = bind("127.0.0.1", 0)
    errors: list[BaseException] = []
    listener = await serve(sock, handler, tls, on_error=lambda _, error: errors.append(error))
    try:
        yield listener, sock.getsockname()[1]
    finally:
        await listener.stop(0)
        assert not [error for error in errors if not isinstance(error, ConnectionError | TimeoutError)]

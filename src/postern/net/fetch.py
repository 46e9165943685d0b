"""Small documents over HTTPS: what an issuer publishes of itself."""

from __future__ import annotations

import asyncio
import http.client
import ssl
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import urlsplit

from postern.net.tls import client_context

TIMEOUT_S = 10.0
LIMIT_BYTES = 1_048_576


class FetchFailed(OSError):  # noqa: N818 - the field's word
    """The document cannot be had; the text says why."""


class Fetcher:
    """Fetches in threads of its own, so that a slow issuer stops nobody else."""

    def __init__(self, threads: int = 2) -> None:
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="fetch")

    async def get(self, url: str, trust: Path | None = None) -> bytes:
        """The body of a 200 answer. A redirect is none: a document is where its issuer says. Raises FetchFailed."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, _get, url, trust)

    def close(self) -> None:
        """Stop the threads."""
        self._threads.shutdown(wait=False, cancel_futures=True)


def _get(url: str, trust: Path | None) -> bytes:
    parts = urlsplit(url)
    if parts.scheme != "https" or not parts.hostname:
        raise FetchFailed(f"{url} is no https URL")
    try:
        context = client_context(verify=True, trust=trust)
        connection = http.client.HTTPSConnection(parts.hostname, parts.port, timeout=TIMEOUT_S, context=context)
        try:
            path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
            connection.request("GET", path, headers={"Accept": "application/json"})
            answer = connection.getresponse()
            body = answer.read(LIMIT_BYTES + 1)
        finally:
            connection.close()
    except (OSError, ssl.SSLError, http.client.HTTPException, ValueError) as problem:
        raise FetchFailed(f"{url}: {problem}") from None
    if answer.status != 200:
        raise FetchFailed(f"{url} answered {answer.status}")
    if len(body) > LIMIT_BYTES:
        raise FetchFailed(f"{url} is too long")
    return body

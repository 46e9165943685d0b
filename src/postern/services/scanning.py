"""Scanning a message without stalling the loop."""

from __future__ import annotations

import asyncio

from postern.formats.mime.scan import Scan, scan

SCAN_IN_THREAD_BYTES = 1 << 20


async def scan_content(content: bytes) -> Scan:
    """Scan a message, in a thread if it is so large that the loop would stall."""
    if len(content) > SCAN_IN_THREAD_BYTES:
        return await asyncio.get_running_loop().run_in_executor(None, scan, content)
    return scan(content)

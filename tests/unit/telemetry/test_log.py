"""Log lines are JSON and carry the task's correlation id."""

from __future__ import annotations

import asyncio
import io
import json
import subprocess
import sys

from postern.telemetry import log


def test_lines_carry_the_connection_they_belong_to():
    out = io.StringIO()
    log.configure("info", out)

    async def session(name):
        log.correlate(session=name)
        await asyncio.sleep(0)
        log.logger(part="test").info("did", size=3)

    async def both():
        await asyncio.gather(session("a"), session("b"))

    asyncio.run(both())
    log.logger().debug("hidden")
    try:
        raise ValueError("broken")
    except ValueError:
        log.logger().exception("failed", data=b"x", path=object)
    lines = [json.loads(line) for line in out.getvalue().splitlines()]
    assert [line.get("session") for line in lines] == ["a", "b", None]
    assert lines[0]["event"] == "did" and lines[0]["size"] == 3 and lines[0]["level"] == "info" and lines[0]["time"]
    assert "ValueError: broken" in lines[2]["exception"]
    log.configure()


def test_servers_do_not_load_what_only_consoles_need():
    code = "import sys, postern.telemetry.log; print([m for m in ('rich', 'cyclopts') if m in sys.modules])"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]"

"""Starting and stopping the demo, for whoever needs one of its own."""

from __future__ import annotations

import json
import selectors
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

MAIN = "from postern.cli.main import main; main()"


@dataclass
class Demo:
    """What `postern demo --json` printed."""

    host: str
    ports: dict[str, int]
    users: list[dict[str, str]]
    data: Path
    pid: int

    def user(self, number: int) -> tuple[str, str]:
        return self.users[number]["address"], self.users[number]["password"]


def start_demo(data: Path, *arguments: str, program: str = MAIN) -> tuple[subprocess.Popen[str], Demo]:
    with data.with_suffix(".log").open("w") as log:
        process = subprocess.Popen(
            [sys.executable, "-c", program, "demo", "--json", "--data", str(data), *arguments],
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        )
    assert process.stdout
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ)
        line = process.stdout.readline() if selector.select(60) else ""
    if not line:
        process.kill()
        process.wait()
        process.stdout.close()
        raise RuntimeError("the demo did not start:\n" + data.with_suffix(".log").read_text()[-4000:])
    facts = json.loads(line)
    return process, Demo(facts["host"], facts["ports"], facts["users"], Path(facts["data"]), facts["pid"])


def stop_demo(process: subprocess.Popen[str]) -> None:
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(60)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        raise
    finally:
        assert process.stdout
        process.stdout.close()

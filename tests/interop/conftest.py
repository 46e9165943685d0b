"""A running demo for real mail programs, shared by all interop tests of a session."""

from __future__ import annotations

import json
import os
import select
import shutil
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest


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


def start_demo(data: Path, *arguments: str) -> tuple[subprocess.Popen[str], Demo]:
    with data.with_suffix(".log").open("w") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "postern", "demo", "--json", "--data", str(data), *arguments],
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        )
    assert process.stdout
    ready, _, _ = select.select([process.stdout], [], [], 60)
    line = process.stdout.readline() if ready else ""
    if not line:
        process.kill()
        raise RuntimeError("the demo did not start:\n" + data.with_suffix(".log").read_text()[-4000:])
    facts = json.loads(line)
    return process, Demo(facts["host"], facts["ports"], facts["users"], Path(facts["data"]), facts["pid"])


def stop_demo(process: subprocess.Popen[str]) -> None:
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(20)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        raise
    finally:
        assert process.stdout
        process.stdout.close()


@pytest.fixture(scope="session")
def demo(tmp_path_factory):
    process, facts = start_demo(tmp_path_factory.mktemp("demo") / "data")
    yield facts
    stop_demo(process)


@pytest.fixture
def program():
    def find(name: str) -> str:
        path = shutil.which(name) or shutil.which(name, path="/usr/sbin:/usr/bin")
        if not path:
            pytest.skip(f"{name} is not installed: run scripts/install-test-parts as root")
        return path

    return find


@pytest.fixture
def run(tmp_path):
    def call(*command: str, input: str | None = None, timeout: float = 60, check: bool = True, **environment: str):
        result = subprocess.run(
            command,
            input=input,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=timeout,
            cwd=tmp_path,
            env={**os.environ, "HOME": str(tmp_path), **environment},
        )
        if check:
            assert result.returncode == 0, f"{command}\n{result.stdout[-3000:]}\n{result.stderr[-3000:]}"
        return result

    return call

"""Running steps with Evolution's libraries inside the mail network."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

BACK_END = Path("/usr/lib/evolution-ews/libevolution-ews.so")
NEEDED = "import gi; [gi.require_version(*one) for one in (('Camel', '1.2'), ('ECal', '2.0'), ('EBook', '1.2'))]"


def run_steps(network, name: str, home: Path) -> Any:
    """What the steps saw. Their mailbox is chen's, which nothing else in the network uses; the other one is anna."""
    if subprocess.run(["/usr/bin/python3", "-c", NEEDED], capture_output=True).returncode or not BACK_END.exists():
        pytest.skip("evolution-ews is not installed: run scripts/install-test-parts as root")
    person = network.person("chen")
    steps = Path(__file__).with_name(name)
    done = network.run(
        "dbus-run-session", "--", "/usr/bin/python3", str(steps), str(home), person.address, person.password,
        "anna@example.org", timeout=240, HOME=str(home), XDG_RUNTIME_DIR=str(home), GSETTINGS_BACKEND="memory",
        GIO_USE_NETWORK_MONITOR="base", PYTHONPATH="",
    )  # fmt: skip
    said = done.stdout + done.stderr
    assert "FOUND " in said, said[-3000:]
    return json.JSONDecoder().raw_decode(said.partition("FOUND ")[2])[0]

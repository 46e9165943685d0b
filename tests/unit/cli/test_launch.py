from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from postern.cli.launch import Launch, recognise


@pytest.mark.parametrize(
    ("line", "wanted"),
    [
        ("serve", Launch("serve")),
        ("serve --config a.toml", Launch("serve", config=Path("a.toml"))),
        ("serve -c a.toml", Launch("serve", config=Path("a.toml"))),
        ("demo", Launch("demo")),
        ("demo --json --port-base 9000 --data=/x", Launch("demo", port_base=9000, data=Path("/x"), json=True)),
        ("demo --workers 4", Launch("demo", workers=4)),
    ],
)
def test_plain_command_lines_are_recognised(line, wanted):
    assert recognise(line.split()) == wanted


@pytest.mark.parametrize(
    "line",
    ["", "mailbox list", "serve --help", "demo --port-base x", "demo --port-base", "demo extra", "demo --json=1"],
)
def test_everything_else_is_left_to_the_library(line):
    assert recognise(line.split()) is None


def test_servers_do_not_carry_the_command_line_library():
    script = (
        "import sys; from postern.cli import main, launch, demo, demo_people, serve;"
        " print([m for m in ('cyclopts', 'rich', 'hypothesis') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"

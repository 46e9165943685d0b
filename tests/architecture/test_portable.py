"""Commands that need no server run where the modules of Unix are missing, as on an administrator's Windows desk."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from postern.cli.main import run

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
UNIX = ("fcntl", "pwd", "grp", "resource", "termios", "tty", "pty", "syslog", "uvloop", "curses", "readline", "apsw")
COMMANDS = [
    ["ports", "--edition", "all"],
    ["ports", "--html"],
    ["ports", "explain", "25"],
    ["ports", "matrix"],
    ["ports", "--topology", str(EXAMPLES / "migration.toml"), "--html"],
    ["firewall", "--help"],
    ["check", "--help"],
    ["firewall", "--format", "cisco", "--topology", str(EXAMPLES / "migration.toml")],
    ["firewall", "--format", "kubernetes", "--topology", str(EXAMPLES / "migration.toml")],
    ["firewall", "audit", "--help"],
    ["--help"],
]
"""One line for each: a command line that imports all that the command needs."""

SCRIPT = """
import sys

class Missing:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {unix!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

for name in {unix!r}:
    sys.modules.pop(name, None)
sys.meta_path.insert(0, Missing())
from postern.cli.main import main
main({arguments!r})
"""


@pytest.mark.parametrize("arguments", COMMANDS, ids=" ".join)
def test_a_command_runs_without_the_modules_of_unix(arguments: list[str]) -> None:
    script = SCRIPT.format(unix=UNIX, arguments=arguments)
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert done.stdout


def test_a_check_asks_without_the_modules_of_unix() -> None:
    # nothing listens there: every service is asked and found closed
    script = SCRIPT.format(unix=UNIX, arguments=["check", "--host", "127.0.0.1", "--port-base", "1", "--json"])
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60)
    assert done.returncode == 1, done.stderr
    assert '"closed"' in done.stdout


def test_other_commands_say_that_they_cannot(capsys: pytest.CaptureFixture[str]) -> None:
    def app(given: object) -> None:
        try:
            raise ModuleNotFoundError("No module named 'fcntl'", name="fcntl")
        except ModuleNotFoundError as problem:
            raise ImportError("cannot import postern.cli.queue") from problem

    with pytest.raises(SystemExit) as end:
        run(app, [])  # type: ignore[arg-type]
    assert end.value.code == 1
    assert "Unix systems only" in capsys.readouterr().err

"""`postern firewall`: what it prints and how it refuses."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from tests.topologies import MIGRATION

GOLDEN = Path(__file__).parents[1] / "firewall/golden"


@pytest.fixture
def topology(tmp_path: Path) -> Path:
    path = tmp_path / "migration.toml"
    path.write_text(MIGRATION, encoding="utf-8")
    return path


def firewall(*words: str, language: str = "en") -> subprocess.CompletedProcess[bytes]:
    code = "from postern.cli.main import main; main()"
    return subprocess.run(
        [sys.executable, "-c", code, "--lang", language, "firewall", *words], capture_output=True, timeout=60
    )


@pytest.mark.parametrize(("name", "host"), [("nftables", "post1"), ("powershell", "ex10")])
def test_the_rules_of_a_host(topology: Path, name: str, host: str) -> None:
    done = firewall("--format", name, "--topology", str(topology), "--host", host)
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout == (GOLDEN / f"{name}.{host}.txt").read_bytes()


def test_the_rules_between_zones(topology: Path) -> None:
    done = firewall("--format=iptables", "-t", str(topology))
    assert done.stdout == (GOLDEN / "iptables.device.txt").read_bytes()


@pytest.mark.parametrize(
    ("words", "status", "said"),
    [
        (["--format", "nftable", "--host", "post1"], 2, "Did you mean nftables"),
        (["--format", "nftables", "--host", "psot1"], 2, "Did you mean post1"),
        (["--format", "netsh"], 2, "--host"),
    ],
)
def test_wrong_names(topology: Path, words: list[str], status: int, said: str) -> None:
    done = firewall(*words, "--topology", str(topology))
    assert (done.returncode, done.stdout) == (status, b"")
    assert said in done.stderr.decode()
    assert "Traceback" not in done.stderr.decode()


def test_a_wrong_name_in_russian(topology: Path) -> None:
    done = firewall("--format", "nftable", "-t", str(topology), language="ru")
    assert "нет формата nftable" in done.stderr.decode()


def test_a_wrong_topology(topology: Path) -> None:
    topology.write_text(MIGRATION.replace('edition = "2016"', 'edition = "2061"', 1), encoding="utf-8")
    done = firewall("--format", "nftables", "-t", str(topology))
    assert done.returncode == 78
    assert f"{topology}:" in done.stderr.decode()
    assert "Did you mean 2019 or 2016" in done.stderr.decode()

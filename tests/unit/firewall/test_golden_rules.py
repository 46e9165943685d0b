"""What each format writes for one organisation, line by line, and what must hold for all of them.

After a deliberate change: POSTERN_WRITE_GOLDEN=1 pytest tests/unit/firewall/test_golden_rules.py, then read the diff.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import msgspec
import pytest
from tests.topologies import MIGRATION

from postern.firewall.formats import FORMATS, FormatError
from postern.topology.flows import required_flows
from postern.topology.loading import parse

GOLDEN = Path(__file__).with_name("golden")
TOPOLOGY = parse(MIGRATION, "migration.toml")
FLOWS = required_flows(TOPOLOGY)
CASES = [
    *((name, host) for name in ("nftables", "iptables", "ufw", "firewalld") for host in ("post1", "")),
    *((name, host) for name in ("netsh", "powershell") for host in ("ex10", "ex16")),
]
UNIX = ("nftables", "iptables", "ufw", "firewalld")


def written(name: str, host: str, topology=TOPOLOGY) -> str:
    return FORMATS[name](topology, required_flows(topology), topology.host(host) if host else None)


@pytest.mark.parametrize(("name", "host"), CASES, ids=["-".join(filter(None, case)) for case in CASES])
def test_the_rules_are_the_known_ones(name: str, host: str) -> None:
    text = written(name, host)
    path = GOLDEN / f"{name}.{host or 'device'}.txt"
    if os.environ.get("POSTERN_WRITE_GOLDEN"):
        path.write_text(text, newline="")
    assert text == path.read_bytes().decode()


@pytest.mark.parametrize(("name", "host"), CASES)
def test_the_order_of_the_file_changes_nothing(name: str, host: str) -> None:
    turned = msgspec.structs.replace(TOPOLOGY, hosts=TOPOLOGY.hosts[::-1], zones=TOPOLOGY.zones[::-1])
    assert written(name, host, turned) == written(name, host)


@pytest.mark.parametrize("name", ["netsh", "powershell"])
def test_windows_has_no_rules_for_a_device(name: str) -> None:
    with pytest.raises(FormatError, match="--host"):
        written(name, "")


@pytest.mark.parametrize("name", UNIX)
@pytest.mark.parametrize("host", [host.name for host in TOPOLOGY.hosts])
def test_every_rule_carries_ids_and_purpose(name: str, host: str) -> None:
    ids = {path_id for flow in FLOWS for path_id in flow.path_ids}
    purposes = 0
    for line in written(name, host).splitlines():
        found = re.search(r"""comment (?:--comment )?["']?"?([^"']+)""", line) if name != "firewalld" else None
        if name == "firewalld":
            found = re.match(r"# ([\w.-]+\.[\w.-]+ .*|[\w.-]+: .*)", line) if "Postern" not in line else None
        if found and "neighbour discovery" not in found[1]:
            head, _, purpose = found[1].partition(": ")
            words = [word for word in head.split() if not re.fullmatch(r"\+\d+", word)]
            assert words, line
            assert set(words) <= ids, line
            assert len(purpose) > 10, line
            purposes += 1
    assert purposes


@pytest.mark.parametrize("name", ["ufw", "firewalld"])
@pytest.mark.parametrize("host", ["post1", ""])
def test_a_shell_can_read_the_scripts(name: str, host: str) -> None:
    done = subprocess.run(["sh", "-n"], input=written(name, host), capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


def test_ufw_runs_with_a_ufw_that_only_writes_down(tmp_path: Path) -> None:
    """Quoting holds: the arguments that arrive are the ones that were meant."""
    program = tmp_path / "ufw"
    program.write_text('#!/bin/sh\nfor word; do printf "<%s>" "$word"; done\nprintf "\\n"\n')
    program.chmod(0o755)
    done = subprocess.run(
        [shutil.which("sh") or "/bin/sh", "-e"],
        input=written("ufw", "post1"),
        capture_output=True,
        text=True,
        env={"PATH": f"{tmp_path}:/usr/bin:/bin"},
    )
    assert done.returncode == 0
    rules = [line for line in done.stdout.splitlines() if line.startswith("<allow>")]
    assert rules
    pattern = (
        r"<allow><(in|out)>(<proto><(tcp|udp)>)?<from><[\da-f.:/]+><to><[\da-f.:/]+>(<port><[\d,:]+>)?<comment><[^<>]+>"
    )
    assert [line for line in rules if not re.fullmatch(pattern, line)] == []


def test_no_comment_of_a_route_rule_reads_as_an_interface_clause() -> None:
    """ufw refuses `in` and `out` anywhere in such a line, the comment included."""
    lines = [line for line in written("ufw", "").splitlines() if line.startswith("ufw route")]
    assert lines
    assert [line for line in lines if re.search(r" (in|out|on) ", line)] == []

"""Sign-ins go on while one of two controllers is gone, and from the cache while both are."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from tests.interop import samba
from tests.interop.check.peers import need

pytestmark = [pytest.mark.interop, pytest.mark.integration]
ROOT = Path(__file__).resolve().parents[3]
WITHIN_S = 220
"""Two Samba domain controllers take 85 s of a machine that has nothing else to do."""


def program(name, directory, *more):
    """What a program of this directory prints that runs in a network of its own."""
    if not shutil.which("unshare") or not shutil.which("ip", path="/usr/sbin:/usr/bin:/sbin"):
        pytest.skip("needs unshare and ip: run scripts/install-test-parts as root")
    command = ["unshare", "--net", *more, sys.executable, "-m", f"tests.interop.directory.{name}", str(directory)]
    environment = {**os.environ, "PYTHONPATH": f"{ROOT / 'src'}:{ROOT}"}
    done = subprocess.run(command, capture_output=True, text=True, timeout=WITHIN_S, cwd=ROOT, env=environment)
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.slow(4)
def test_one_controller_stopped_and_restarted_during_use(tmp_path):
    need("slapd")
    said = program("two_controllers", tmp_path)
    good = {step for step, (outcome, _) in said.items() if outcome == "OK"}
    assert good == {
        "both, u1", "near stopped, u2", "near stopped, late", "near restarted, far stopped, u3", "near cut off, u4",
        "both again, u5", "none, u5 remembered", "far back, u6",
    }, said  # fmt: skip
    for wrong in ("both, wrong", "near stopped, u2 wrong"):
        assert "AUTHENTICATIONFAILED" in said[wrong][0], said
    # nobody knows whether it is right: later, not no
    assert "UNAVAILABLE" in said["none, u6 never seen"][0], said
    assert max(seconds for step, (_, seconds) in said.items() if step in good) < 10, said


@pytest.mark.slow(30)
@pytest.mark.timeout(WITHIN_S + 20)
def test_two_domain_controllers_stopped_and_restarted_in_turn(tmp_path):
    if why := samba.missing():
        pytest.skip(why)
    need("ldapmodify")
    said = program("two_domain_controllers", tmp_path, "--mount")
    told = json.dumps(said)  # in full: pytest shortens what it shows
    found = {one["controller"]: one["error"] for one in said["controllers"]}
    assert found == {"dc1.corp.example.org:389": "", "dc2.corp.example.org:389": ""}
    steps = {step: outcome for step, (outcome, _) in said["steps"].items()}
    assert "UNAVAILABLE" in steps.pop("none, never seen"), told
    assert set(steps.values()) == {"OK"}, told
    # while one of them is there, everybody gets in whose password is right, and nobody else
    phases = {"both", "first stopped", "first restarted", "second stopped", "second back"}
    assert {"both"} <= set(said["stream"]), told
    for phase, outcomes in said["stream"].items():
        if phase == "none":
            assert all("UNAVAILABLE" in outcome for outcome in outcomes), told
        elif phase in phases or (phases.issuperset(phase.split(" > ")) and "second back" not in phase):
            for outcome, (_, slowest) in outcomes.items():
                assert outcome == "OK" or (outcome.startswith("wrong: ") and "AUTHENTICATIONFAILED" in outcome), told
                assert slowest < 15, told

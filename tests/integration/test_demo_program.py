"""`postern demo` as a program."""

from __future__ import annotations

import imaplib
import json
import os
import signal
import ssl
import subprocess
import sys
import time
from pathlib import Path

import pytest

pytestmark = pytest.mark.integration


class Demo:
    def __init__(self, *arguments: str) -> None:
        begin = time.monotonic()
        self.process = subprocess.Popen(
            [sys.executable, "-m", "postern", "demo", "--json", *arguments], stdout=subprocess.PIPE, text=True
        )
        assert self.process.stdout
        self.facts = json.loads(self.process.stdout.readline())
        self.seconds = time.monotonic() - begin

    def stop(self, number: int) -> int:
        self.process.send_signal(number)
        code = self.process.wait(60)
        assert self.process.stdout
        self.process.stdout.close()
        return code

    def inbox(self, user: int) -> int:
        facts = self.facts
        context = ssl.create_default_context(cafile=str(Path(facts["data"]) / "tls" / "certificate.pem"))
        with imaplib.IMAP4_SSL(facts["host"], facts["ports"]["imaps"], ssl_context=context) as client:
            client.login(facts["users"][user]["address"], facts["users"][user]["password"])
            return int(client.select()[1][0])


def test_a_throw_away_organisation_is_ready_soon_and_leaves_nothing():
    demo = Demo()
    facts = demo.facts
    try:
        assert set(facts) == {"host", "ports", "users", "data", "pid"}
        assert {"smtp", "submission", "submissions", "imap", "imaps", "pop3", "pop3s"} <= set(facts["ports"])
        assert len(facts["users"]) == 10 and facts["pid"] == demo.process.pid
        assert demo.inbox(0) > 100
        # generous beside the 2 s that it may take on an idle machine: here other tests have it too
        assert demo.seconds < 40
    finally:
        assert demo.stop(signal.SIGINT) == 0
    assert not Path(facts["data"]).exists()


def test_data_stays_where_it_was_put_and_is_served_again(tmp_path):
    first = Demo("--data", str(tmp_path / "data"), "--workers", "1")
    count = first.inbox(0)
    assert first.stop(signal.SIGTERM) == 0
    second = Demo("--data", str(tmp_path / "data"), "--workers", "1")
    try:
        assert second.inbox(0) == count
        listed = subprocess.run(
            [
                sys.executable,
                "-m",
                "postern",
                "mailbox",
                "list",
                "--json",
                "-c",
                str(tmp_path / "data" / "postern.toml"),
            ],
            capture_output=True,
            check=True,
        )
        assert len(json.loads(listed.stdout)) == 11
        again = subprocess.run(
            [sys.executable, "-m", "postern", "serve", "-c", str(tmp_path / "data" / "postern.toml")],
            capture_output=True,
            text=True,
            timeout=30,
        )
        assert again.returncode == 1 and "already uses the data directory" in again.stderr
    finally:
        assert second.stop(signal.SIGTERM) == 0


def test_broken_off_while_it_is_made_it_says_nothing_and_is_made_anew(tmp_path):
    data = tmp_path / "data"
    # a shell's background job, such as this test may be, has its children ignore Ctrl-C
    command = ["env", "--default-signal=INT", sys.executable, "-m", "postern", "demo", "--data", str(data)]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, start_new_session=True)
    while not (data / "mailboxes").exists():
        assert process.poll() is None
        time.sleep(0.02)
    os.killpg(process.pid, signal.SIGINT)
    _, said = process.communicate(timeout=30)
    assert (process.returncode, said) == (130, "")
    again = Demo("--data", str(data), "--workers", "1")
    try:
        assert again.inbox(0) > 100
    finally:
        again.stop(signal.SIGTERM)

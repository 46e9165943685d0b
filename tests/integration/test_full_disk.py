"""A server on a disk without room: it starts, its workers are replaced, people read their mail and delete."""

from __future__ import annotations

import contextlib
import imaplib
import json
import os
import shutil
import signal
import ssl
import subprocess
import sys
import time

import msgspec
import pytest
from tests.integration.organisation import PASSWORD, Running, make_organisation, make_settings

from postern.config.settings import Store

pytestmark = pytest.mark.integration

ON_A_FULL_DISK = """
set -e
mount -t tmpfs -o size=40m none "$1"
cp -a "$2/." "$1"
fallocate -l 16M "$1/reserve"
dd if=/dev/zero of="$1/films" bs=64k 2>/dev/null || true
dd if=/dev/zero of="$1/more" bs=4k 2>/dev/null || true
exec "$3" -m tests.integration.serve "$4"
"""
PATIENCE_S = 60.0


class OnAFullDisk(Running):
    """The same data directory, as a small disk without a free block that only the server sees."""

    def __init__(self, running: Running) -> None:
        data = running.settings.data_dir
        copy = data.with_name("copy")
        shutil.copytree(data, copy)
        self.settings, self.log = running.settings, data.with_name("log")
        file = data.with_name("settings.json")
        file.write_bytes(msgspec.json.encode(running.settings))
        with self.log.open("ab") as err:
            self.process = subprocess.Popen(
                ["unshare", "--map-root-user", "--mount", "sh", "-c", ON_A_FULL_DISK, "sh", *map(str, (data, copy)),
                 sys.executable, str(file)],
                stdout=subprocess.PIPE,
                stderr=err,
                env={**os.environ, "PYTHONPATH": "src:."},
                start_new_session=True,
            )  # fmt: skip


def client(running: Running) -> imaplib.IMAP4:
    """Anna's, as soon as somebody answers."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    end = time.monotonic() + PATIENCE_S
    while True:
        try:
            found = imaplib.IMAP4_SSL("127.0.0.1", running.ports["imaps"], ssl_context=context, timeout=60)
            found.login("anna@example.org", PASSWORD)
            return found
        except (OSError, imaplib.IMAP4.abort):
            if time.monotonic() > end:
                raise
            time.sleep(0.05)


@pytest.fixture
def running(tmp_path):
    settings = make_settings(tmp_path / "data", workers=1, store=Store(segment_bytes=1 << 20))
    make_organisation(settings)
    server = Running(settings)
    with contextlib.closing(server.process.stdout):
        server.wait_ready(PATIENCE_S)
        writer = client(server)
        for number in range(3):
            assert writer.append("INBOX", None, None, b"Subject: %d\r\n\r\nbody\r\n" % number)[0] == "OK"
        server.kill()
    full = OnAFullDisk(server)
    yield full
    full.kill()


def test_mail_is_read_and_deleted_on_a_full_disk_and_by_a_workers_successor(running):
    """Neither the start nor a worker's successor found room for epoch and journal: the server ended."""
    running.wait_ready(PATIENCE_S)
    assert running.wait_line("start.reserve_given_up")
    reader = client(running)
    assert reader.select("INBOX") == ("OK", [b"3"])
    assert reader.fetch("1", "(BODY[HEADER.FIELDS (SUBJECT)])")[1][0][1].startswith(b"Subject: ")
    assert reader.store("1", "+FLAGS", "\\Deleted")[0] == "OK"
    assert reader.expunge() == ("OK", [b"1"])
    started = len(running.lines())
    os.kill(running.children()["worker-0"], signal.SIGKILL)
    running.wait_line("process.started", PATIENCE_S, after=started)
    reader = client(running)
    assert reader.select("INBOX") == ("OK", [b"2"])
    assert reader.store("1:2", "+FLAGS", "\\Deleted")[0] == "OK"
    assert reader.expunge()[0] == "OK"
    assert running.stop(timeout=PATIENCE_S) == 0


SMALL_DISK = 'mount -t tmpfs -o size=48m none "$1"; exec "$2" -m tests.integration.deleting_on_a_full_disk "$1"'


def test_thousands_are_moved_and_deleted_with_little_room_kept_back(tmp_path):
    """The log of one large MOVE, EXPUNGE, or of a removed folder did not fit into the reserve: nothing could go."""
    ended = subprocess.run(
        ["unshare", "--map-root-user", "--mount", "sh", "-c", SMALL_DISK, "sh", str(tmp_path), sys.executable],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": "src:."},
        timeout=120,
    )
    assert ended.returncode == 0, ended.stderr
    assert json.loads(ended.stdout) == {
        "moved": 6000, "within": 6000, "back": 6000, "gone": 3000, "left": 3000, "box": False,
    }  # fmt: skip

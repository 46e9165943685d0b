"""A backup under load, the machine wiped, the organisation restored: everything acknowledged before is there, once."""

import contextlib
import imaplib
import json
import re
import shutil
import smtplib
import subprocess
import sys
import threading
import time
from pathlib import Path

import msgspec
import pytest
from tests.integration.organisation import PASSWORD, Running, make_organisation, make_settings

from postern.backup.checking import verify as verify_repository
from postern.backup.crypt import Secret
from postern.backup.repository import open_repository
from postern.backup.whole import Restoring
from postern.net.clock import SystemEntropy
from postern.store.blobs import SegmentBlobs
from postern.store.journal.layout import journal_directory
from postern.store.sqlite.verifying import verify

pytestmark = [pytest.mark.integration, pytest.mark.slow(5), pytest.mark.timeout(180)]
LOAD_S = 1.0
_NUMBER = re.compile(rb"Subject: number (\d+)")


def postern(*words):
    done = subprocess.run(
        [sys.executable, "-m", "postern", *words], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(done.stdout) if "--json" in words else done.stdout


def send(port, first, acknowledged, stop):
    """One message after the other, by SMTP, until the server is gone."""
    number = first
    with contextlib.suppress(OSError, smtplib.SMTPException), smtplib.SMTP("127.0.0.1", port, timeout=10) as smtp:
        while not stop.is_set():
            body = f"Subject: number {number}\r\n\r\n" + "text of the message\r\n" * (number % 400)
            smtp.sendmail("stranger@example.net", ["anna@example.org", "boris@example.org"], body)
            acknowledged.append((time.time(), number))
            number += 1


def append(port, first, acknowledged, stop):
    """The same by IMAP, into one's own folder; some of it deleted again."""
    number = first
    with contextlib.suppress(OSError, imaplib.IMAP4.error, imaplib.IMAP4.abort):
        imap = imaplib.IMAP4("127.0.0.1", port, timeout=10)
        imap.starttls(insecure())
        imap.login("chen@example.org", PASSWORD)
        imap.create("Mine")
        while not stop.is_set():
            imap.append(
                "Mine", "", imaplib.Time2Internaldate(time.time()), f"Subject: number {number}\r\n\r\nx".encode()
            )
            acknowledged.append((time.time(), number))
            number += 1
        imap.shutdown()


def insecure():
    import ssl

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def numbers(port, user, folder):
    imap = imaplib.IMAP4("127.0.0.1", port, timeout=30)
    imap.starttls(insecure())
    imap.login(f"{user}@example.org", PASSWORD)
    status, _ = imap.select(folder)
    assert status == "OK"
    _, found = imap.fetch("1:*", "(BODY.PEEK[])")
    imap.shutdown()
    contents = [part[1] for part in found if isinstance(part, tuple)]
    return sorted(int(_NUMBER.search(content)[1]) for content in contents)


def test_everything_acknowledged_before_a_backup_survives_the_machine(tmp_path):
    settings = make_settings(tmp_path / "data")
    make_organisation(settings)
    config = tmp_path / "postern.toml"
    config.write_text(f'[server]\nhostname = "mail.example.org"\ndata = "{tmp_path / "data"}"\n')
    repository = str(tmp_path / "repository")
    key = str(tmp_path / "key")
    Path(key).write_text("0123456789abcdef" * 4)
    running = Running(settings)
    mailed, kept = [], []
    stop = threading.Event()
    try:
        ports = running.wait_ready(60)
        threads = [
            threading.Thread(target=send, args=(ports["smtp"], number * 1_000_000, mailed, stop))
            for number in (1, 2, 3)
        ]
        threads += [threading.Thread(target=append, args=(ports["imap"], 9_000_000, kept, stop))]
        for thread in threads:
            thread.start()
        time.sleep(LOAD_S)
        options = (repository, "--key-file", key, "--config", str(config), "--json")
        first = postern("backup", "run", *options)
        time.sleep(LOAD_S)
        second = postern("backup", "run", *options)
        while len(mailed) < 30 or len(kept) < 10:
            time.sleep(0.1)
        assert first["trouble"] == second["trouble"] == []
        assert second["references"] > first["references"] > 0
    finally:
        running.kill()
        stop.set()
    for thread in threads:
        thread.join(30)
    shutil.rmtree(tmp_path / "data")

    opened = open_repository(Path(repository), SystemEntropy(), Secret("file", b"0123456789abcdef" * 4))
    with opened.locked(alone=False):
        assert verify_repository(opened).trouble == ()
        assert opened.snapshots() == [first["snapshot"], second["snapshot"]]
        began_at = opened.read_snapshot(second["snapshot"]).began_at
        restored = Restoring(opened, second["snapshot"], tmp_path / "new", int(time.time())).run()
        assert restored.trouble == () and restored.mailboxes == 3

    server = msgspec.structs.replace(settings.server, data=str(tmp_path / "new"))
    again = Running(msgspec.structs.replace(settings, server=server))
    try:
        ports = again.wait_ready(60)
        for user, folder, acknowledged in (
            ("anna", "INBOX", mailed),
            ("boris", "INBOX", mailed),
            ("chen", "Mine", kept),
        ):
            promised = {number for at, number in acknowledged if at < began_at}
            known = {number for _, number in acknowledged}
            assert len(promised) > 3
            end = time.monotonic() + 60
            while not promised <= set(found := numbers(ports["imap"], user, folder)) and time.monotonic() < end:
                time.sleep(0.2)
            assert promised <= set(found)
            assert len(found) == len(set(found))
            # what was on its way at the backup may be there; one that was not answered when the server died, too
            assert len(set(found) - known) <= 4
        assert again.stop() == 0
    finally:
        again.kill()
    bodies = SegmentBlobs(journal_directory(tmp_path / "new"))
    for path in (tmp_path / "new" / "mailboxes").glob("??/*.db"):
        found = verify(path, lambda *ref: bodies.holds(ref))
        assert found.findings == ()
        assert found.bodies > 3
    bodies.close()

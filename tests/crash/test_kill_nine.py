"""kill -9 of workers and supervisor under load: every message that got a 250 is there exactly once."""

from __future__ import annotations

import contextlib
import imaplib
import os
import random
import re
import signal
import smtplib
import ssl
import threading
import time
from pathlib import Path

import pytest
from tests.interop.demo import start_demo, stop_demo

pytestmark = pytest.mark.crash

KILLS = 50
SUPERVISOR_EVERY = 5
"""One kill in so many hits the supervisor."""
SENDERS = 4
APPENDERS = 2
PAUSE_S = 0.005
"""Between two messages of a client: about as long as one takes, so that one of the six is nearly always in flight."""


def children_of(pid: int) -> list[int]:
    return [int(p) for p in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def insecure() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


class Load:
    """Senders and appenders that go on whatever happens, and remember what was acknowledged."""

    def __init__(self, demo) -> None:
        self.demo = demo
        self.stopped = threading.Event()
        self.acknowledged: dict[int, list[str]] = {}
        self.uids: dict[tuple[int, int, int], str] = {}
        self.clashes: list[str] = []
        self.lock = threading.Lock()

    def send(self, number: int) -> None:
        serial = 0
        target = 2 + number % 3
        while not self.stopped.is_set():
            with contextlib.suppress(OSError, smtplib.SMTPException):
                smtp = smtplib.SMTP(self.demo.host, self.demo.ports["smtp"], timeout=10)
                try:
                    while not self.stopped.is_set():
                        serial += 1
                        token = f"k{number}-{serial}"
                        head = f"From: a@b.example\r\nMessage-ID: <{token}@kill>\r\nSubject: {token}\r\n\r\n"
                        smtp.sendmail("a@b.example", [self.demo.user(target)[0]], head + "x" * 900 + "\r\n")
                        with self.lock:
                            self.acknowledged.setdefault(target, []).append(token)
                        time.sleep(PAUSE_S)
                finally:
                    smtp.close()
            time.sleep(0.02)

    def append(self, number: int) -> None:
        serial = 0
        target = 5 + number
        while not self.stopped.is_set():
            with contextlib.suppress(OSError, imaplib.IMAP4.error):
                host, port = self.demo.host, self.demo.ports["imaps"]
                client = imaplib.IMAP4_SSL(host, port, ssl_context=insecure(), timeout=10)
                try:
                    client.login(*self.demo.user(target))
                    while not self.stopped.is_set():
                        serial += 1
                        token = f"p{number}-{serial}"
                        text = f"Message-ID: <{token}@kill>\r\nSubject: {token}\r\n\r\nappended\r\n".encode()
                        status, data = client.append("INBOX", None, None, text)
                        if status != "OK":
                            break
                        found = re.search(rb"APPENDUID (\d+) (\d+)", data[0])
                        assert found
                        key = (target, int(found[1]), int(found[2]))
                        with self.lock:
                            if key in self.uids:
                                self.clashes.append(f"{key} was {self.uids[key]}, now {token}")
                            self.uids[key] = token
                            self.acknowledged.setdefault(target, []).append(token)
                        time.sleep(PAUSE_S)
                finally:
                    with contextlib.suppress(OSError):
                        client.shutdown()
            time.sleep(0.02)


def subjects(demo, number: int) -> dict[str, list[int]]:
    client = imaplib.IMAP4_SSL(demo.host, demo.ports["imaps"], ssl_context=insecure())
    client.login(*demo.user(number))
    client.select("INBOX")
    _, data = client.uid("FETCH", "1:*", "(UID BODY.PEEK[HEADER.FIELDS (SUBJECT)])")
    found: dict[str, list[int]] = {}
    for part in data:
        if isinstance(part, tuple):
            uid = re.search(rb"UID (\d+)", part[0])
            assert uid
            subject = part[1].decode("latin-1").partition(":")[2].strip()
            found.setdefault(subject, []).append(int(uid[1]))
    client.logout()
    return found


def discrepancies(demo, load: Load) -> list[str]:
    wrong = []
    for number, tokens in load.acknowledged.items():
        found = subjects(demo, number)
        for token in tokens:
            if (times := len(found.get(token, []))) != 1:
                wrong.append(f"{token}: {times} times")
        for (target, _, uid), token in load.uids.items():
            if target == number and found.get(token) != [uid]:
                wrong.append(f"{token}: UID {uid} became {found.get(token)}")
    return wrong


@pytest.mark.slow(30)
@pytest.mark.timeout(300)
def test_nothing_acknowledged_is_lost_or_doubled(tmp_path):
    data = tmp_path / "data"
    process, demo = start_demo(data)
    base = str(demo.ports["smtp"] - 25)
    load = Load(demo)
    threads = [threading.Thread(target=load.send, args=(n,)) for n in range(SENDERS)]
    threads += [threading.Thread(target=load.append, args=(n,)) for n in range(APPENDERS)]
    for thread in threads:
        thread.start()
    chance = random.Random(7)
    try:
        for kill in range(1, KILLS + 1):
            time.sleep(chance.uniform(0.05, 0.5))
            if kill % SUPERVISOR_EVERY == 0:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(demo.pid, signal.SIGKILL)
                process.kill()
                process.wait(60)
                assert process.stdout
                process.stdout.close()
                process, demo = start_demo(data, "--port-base", base)
                load.demo = demo
            elif victims := children_of(demo.pid):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(chance.choice(victims), signal.SIGKILL)
        time.sleep(1)
    finally:
        load.stopped.set()
        for thread in threads:
            thread.join(30)
    try:
        assert sum(map(len, load.acknowledged.values())) > 200, "too little got through to prove anything"
        assert not load.clashes
        deadline = time.monotonic() + 60
        while (wrong := discrepancies(demo, load)) and time.monotonic() < deadline:
            time.sleep(1)
        assert not wrong, wrong[:20]
    finally:
        stop_demo(process)

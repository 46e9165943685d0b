"""aerc reads, flags, moves and copies on a terminal of its own; what it did is looked at by IMAP."""

from __future__ import annotations

import contextlib
import fcntl
import imaplib
import os
import pty
import re
import select
import shutil
import signal
import smtplib
import ssl
import struct
import termios
import time
from urllib.parse import quote

import pytest

pytestmark = [pytest.mark.interop, pytest.mark.slow(5)]

WAIT_S = 60.0
_CONTROL = re.compile(rb"\x1b(?:\[[0-9;?]* ?[A-Za-z]|\][^\x1b]*\x1b\\|\([A-Z0-9])")
ACCOUNTS = """[Demo]
source = imaps://{user}:{password}@localhost:{port}
default = INBOX
from = Demo <{address}>
copy-to = Sent Items
"""


class Terminal:
    """A program on a pseudo terminal."""

    def __init__(self, command: list[str], environment: dict[str, str]) -> None:
        self.shown = b""
        self.pid, self.descriptor = pty.fork()
        if not self.pid:
            os.execvpe(command[0], command, environment)
        fcntl.ioctl(self.descriptor, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 120, 0, 0))

    def pump(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            ready, _, _ = select.select([self.descriptor], [], [], left)
            if ready:
                try:
                    data = os.read(self.descriptor, 65536)
                except OSError:
                    return
                self.shown += data
                # whoever asks which terminal this is gets an answer
                if b"\x1b[c" in data:
                    os.write(self.descriptor, b"\x1b[?62;22c")

    @property
    def text(self) -> bytes:
        """What was shown, without the terminal's control sequences."""
        return _CONTROL.sub(b"", self.shown)

    def echoes(self, text: str, position: int) -> bool:
        """Whether its letters were shown, one after the other, behind a position of `shown`; hints may lie between."""
        shown = iter(_CONTROL.sub(b"", self.shown[position:]).decode(errors="replace"))
        return all(letter in shown for letter in text if letter != " ")

    def shows(self, text: str) -> bool:
        """Blanks do not count: the cursor may have gone over them."""
        return text.replace(" ", "").encode() in self.text.replace(b" ", b"")

    def until(self, condition) -> None:
        end = time.monotonic() + WAIT_S
        while not condition():
            assert time.monotonic() < end, self.text[-3000:]
            self.pump(0.1)

    def type(self, text: str) -> None:
        """A command; the command line has to be there before it, and the whole of it before its end."""
        for part in (":", text):
            before = len(self.shown)
            os.write(self.descriptor, part.encode())
            self.until(lambda part=part, before=before: self.echoes(part, before))
        os.write(self.descriptor, b"\r")
        self.pump(0.3)

    def close(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)
        os.close(self.descriptor)


def session(demo, address: str, password: str) -> imaplib.IMAP4_SSL:
    context = ssl.create_default_context(cafile=str(demo.data / "tls" / "certificate.pem"))
    client = imaplib.IMAP4_SSL("localhost", demo.ports["imaps"], ssl_context=context)
    client.login(address, password)
    return client


@pytest.mark.timeout(240)
def test_aerc(demo, tmp_path):
    if shutil.which("aerc") is None:
        pytest.skip("aerc is not installed: run scripts/install-test-parts as root")
    address, password = demo.user(8)
    client = session(demo, address, password)
    client.create("Moved")
    client.select("INBOX")
    client.store("1:*", "+FLAGS.SILENT", "(\\Deleted)")
    client.expunge()
    with smtplib.SMTP(demo.host, demo.ports["smtp"]) as smtp:
        smtp.sendmail(
            "x@elsewhere.example",
            [address],
            "From: x@elsewhere.example\r\nSubject: wandering letter\r\n\r\nread me in aerc\r\n",
        )

    def found(folder: str, *criteria: str) -> bool:
        status, _ = client.select(folder, readonly=True)
        return status == "OK" and client.search(None, "SUBJECT", '"wandering letter"', *criteria)[1] != [b""]

    config = tmp_path / ".config" / "aerc"
    config.mkdir(parents=True)
    accounts = config / "accounts.conf"
    accounts.write_text(
        ACCOUNTS.format(
            user=quote(address, safe=""), password=quote(password, safe=""), port=demo.ports["imaps"], address=address
        )
    )
    accounts.chmod(0o600)
    environment = {
        "HOME": str(tmp_path),
        "PATH": os.environ["PATH"],
        "TERM": "xterm-256color",
        "LANG": "C.UTF-8",
        "SSL_CERT_FILE": str(demo.data / "tls" / "certificate.pem"),
        "XDG_RUNTIME_DIR": str(tmp_path),
    }
    terminal = Terminal(["aerc"], environment)
    try:
        terminal.until(lambda: terminal.shows("wandering letter"))
        terminal.type("flag")
        terminal.until(lambda: found("INBOX", "FLAGGED"))
        terminal.type("read")
        terminal.until(lambda: found("INBOX", "SEEN"))
        terminal.type("view")
        terminal.until(lambda: terminal.shows("read me in aerc"))
        terminal.type("close")
        terminal.type("copy Archive")
        terminal.until(lambda: found("Archive", "FLAGGED", "SEEN"))
        assert found("INBOX")
        terminal.type("move Moved")
        terminal.until(lambda: found("Moved", "FLAGGED", "SEEN") and not found("INBOX"))
        terminal.type("cf Moved")
        terminal.type("delete")
        terminal.until(lambda: not found("Moved", "UNDELETED"))
    finally:
        terminal.close()
    client.logout()

"""A mailbox of the mail network, by IMAP from inside it: what a program under test did, and what it must notice."""

from __future__ import annotations

import imaplib
import smtplib
import ssl
import time
from collections.abc import Callable
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path

SERVER = "mail.example.org"


def pem_body(certificate: Path) -> str:
    """The base64 of a certificate."""
    lines = certificate.read_text().splitlines()
    return "".join(lines[1 : lines.index("-----END CERTIFICATE-----")])


def _letter(subject: str, text: str, sender: str, recipient: str) -> EmailMessage:
    letter = EmailMessage()
    letter["From"], letter["To"], letter["Subject"] = sender, recipient, subject
    letter["Message-ID"] = f"<{subject.replace(' ', '-').lower()}-{time.time_ns()}@example.org>"
    letter["Date"] = "Mon, 05 Jan 2026 10:00:00 +0000"
    letter.set_content(text)
    return letter


def send(sender: str, password: str, recipient: str, subject: str, text: str) -> None:
    """By submission over TLS."""
    with smtplib.SMTP_SSL(SERVER, 465, context=ssl.create_default_context()) as smtp:
        smtp.login(sender, password)
        smtp.send_message(_letter(subject, text, sender, recipient))


class Mailbox:
    """One person's, by IMAP."""

    def __init__(self, address: str, password: str) -> None:
        self._imap = imaplib.IMAP4_SSL(SERVER, 993, ssl_context=ssl.create_default_context())
        self._imap.login(address, password)

    def add(self, folder: str, subject: str, text: str, sender: str, recipient: str) -> None:
        status, said = self._imap.append(folder, "", None, _letter(subject, text, sender, recipient).as_bytes())  # type: ignore[arg-type]
        assert status == "OK", said

    def special(self, use: str) -> str:
        """The folder with a special use, such as `\\Trash`."""
        _, lines = self._imap.list()
        return next(line.decode().rpartition(' "/" ')[2].strip('"') for line in lines if use.encode() in line)  # type: ignore[union-attr]

    def _find(self, folder: str, subject: str) -> bytes:
        status, _ = self._imap.select(f'"{folder}"')
        if status != "OK":
            return b""
        _, found = self._imap.uid("SEARCH", "SUBJECT", f'"{subject}"')
        return found[0].split()[-1] if found and found[0] and found[0].split() else b""

    def count(self, folder: str, subject: str) -> int:
        """How many there are."""
        if not self._find(folder, subject):
            return 0
        _, found = self._imap.uid("SEARCH", "SUBJECT", f'"{subject}"')
        return len(found[0].split())

    def flags(self, folder: str, subject: str) -> set[str] | None:
        """Of the newest with the subject; None: there is none."""
        uid = self._find(folder, subject)
        if not uid:
            return None
        _, data = self._imap.uid("FETCH", uid.decode(), "(FLAGS)")
        return {flag.decode() for flag in imaplib.ParseFlags(data[0])}  # type: ignore[arg-type]

    def wait(self, folder: str, subject: str, good: Callable[[set[str]], bool], seconds: float = 30) -> list[str]:
        """Its flags as soon as they are good, or what they are at the end."""
        end = time.monotonic() + seconds
        while True:
            found = self.flags(folder, subject)
            if (found is not None and good(found)) or time.monotonic() > end:
                return ["(not there)"] if found is None else sorted(found)
            time.sleep(0.1)

    def flag(self, folder: str, subject: str, flags: str, sign: str = "+") -> None:
        uid = self._find(folder, subject)
        status, said = self._imap.uid("STORE", uid.decode(), f"{sign}FLAGS", flags)
        assert status == "OK", said

    def move(self, folder: str, subject: str, target: str) -> None:
        uid = self._find(folder, subject)
        status, said = self._imap.uid("MOVE", uid.decode(), target)
        assert status == "OK", said

    def text(self, folder: str, subject: str) -> str:
        uid = self._find(folder, subject)
        _, data = self._imap.uid("FETCH", uid.decode(), "(BODY.PEEK[])")
        letter = message_from_bytes(data[0][1], policy=policy.default)  # type: ignore[index]
        body = letter.get_body(("plain", "html"))
        return "" if body is None else str(body.get_content())

    def close(self) -> None:
        self._imap.logout()

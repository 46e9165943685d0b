"""mbsync mirrors a 5 000-message mailbox both ways without a difference."""

from __future__ import annotations

import hashlib
import imaplib
import ssl
from pathlib import Path

import pytest

pytestmark = [pytest.mark.interop, pytest.mark.slow(12)]

COUNT = 5000


def insecure() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def digests_of_folder(client: imaplib.IMAP4, folder: str) -> list[tuple[str, tuple[str, ...]]]:
    client.select(folder)
    _, data = client.fetch("1:*", "(FLAGS BODY.PEEK[])")
    result = []
    for part in data:
        if isinstance(part, tuple):
            kept = [line for line in part[1].split(b"\r\n") if not line.lower().startswith(b"x-tuid:")]
            flags = tuple(sorted(f.decode() for f in imaplib.ParseFlags(part[0]) if f != b"\\Recent"))
            result.append((hashlib.sha256(b"\r\n".join(kept)).hexdigest(), flags))
    return sorted(result)


@pytest.mark.timeout(300)
def test_mirror_both_ways(demo, program, run, tmp_path: Path):
    mbsync = program("mbsync")
    address, password = demo.user(6)
    client = imaplib.IMAP4_SSL(demo.host, demo.ports["imaps"], ssl_context=insecure())
    client.login(address, password)
    client.create("Mirror")
    tag = 0
    for start in range(0, COUNT, 100):
        chunk = b""
        for number in range(start, start + 100):
            headers = f"From: a@b.example\r\nMessage-ID: <{number}@mirror>\r\nSubject: Nummer {number} ünï\r\n"
            body = f"{headers}\r\nLine {number}\r\n"
            raw = body.encode()
            tag += 1
            flags = b"(\\Seen)" if number % 3 == 0 else b"()"
            chunk += b"t%d APPEND Mirror %s {%d+}\r\n%s\r\n" % (tag, flags, len(raw), raw)
        client.send(chunk)
        answered = 0
        while answered < 100:
            line = client.readline()
            if line.startswith(b"t"):
                assert b" OK" in line, line
                answered += 1
    local = tmp_path / "mail"
    local.mkdir()
    config = tmp_path / "mbsyncrc"
    config.write_text(
        f"""
IMAPStore far
Host localhost
Port {demo.ports["imaps"]}
User {address}
Pass {password}
SSLType IMAPS
CertificateFile {demo.data}/tls/certificate.pem
Timeout 120

MaildirStore near
Path {local}/
Inbox {local}/inbox
SubFolders Verbatim

Channel mirror
Far :far:Mirror
Near :near:Mirror
Create Both
Expunge Both
Sync All
SyncState *
"""
    )
    run(mbsync, "-c", str(config), "mirror", timeout=200)
    files = [f for d in ("cur", "new") for f in (local / "Mirror" / d).iterdir()]
    assert len(files) == COUNT
    # change both sides: delete 50 near, flag 50 near, delete 50 far, add 20 near, 20 far
    files.sort()
    for file in files[:50]:
        file.unlink()
    for file in files[50:100]:
        base, _, flags = file.name.partition(":2,")
        file.rename(file.parent.parent / "cur" / f"{base}:2,{''.join(sorted(set(flags) | {'F'}))}")
    client.select("Mirror")
    client.store("4901:4950", "+FLAGS.SILENT", "(\\Deleted)")
    client.expunge()
    for number in range(20):
        (local / "Mirror" / "new" / f"{number}.new.host").write_bytes(f"Subject: near {number}\n\nnear\n".encode())
        client.append("Mirror", None, None, f"Subject: far {number}\r\n\r\nfar\r\n".encode())
    run(mbsync, "-c", str(config), "mirror", timeout=200)
    run(mbsync, "-c", str(config), "mirror", timeout=200)
    far = digests_of_folder(client, "Mirror")
    near = []
    letters = {"S": "\\Seen", "F": "\\Flagged", "R": "\\Answered", "D": "\\Draft", "T": "\\Deleted"}
    for directory in ("cur", "new"):
        for file in (local / "Mirror" / directory).iterdir():
            lines = file.read_bytes().replace(b"\r\n", b"\n").split(b"\n")
            kept = [line for line in lines if not line.lower().startswith(b"x-tuid:")]
            flags = tuple(sorted(letters[c] for c in file.name.partition(":2,")[2] if c in letters))
            near.append((hashlib.sha256(b"\r\n".join(kept)).hexdigest(), flags))
    assert len(far) == len(near)
    assert far == sorted(near)
    client.logout()

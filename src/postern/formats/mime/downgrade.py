"""Re-encoding a message for a next hop that cannot take it as it is (RFC 6152 3, RFC 3030 3).

Only bodies change, and only those that must; the result has the same parts and the same decoded content.
"""

from __future__ import annotations

import re
from binascii import b2a_base64

from postern.formats.mime import charset, transfer
from postern.formats.mime.header import fields, first
from postern.formats.mime.parts import LEAF, MESSAGE, MULTIPART, TEXT, PartMap
from postern.formats.mime.scan import scan
from postern.formats.mime.structure import MAX_LEVELS, MAX_PARTS
from postern.model.refusal import ProtocolViolation

SEVEN_BIT = "7BIT"
EIGHT_BIT = "8BITMIME"

MAX_LINE_OCTETS = 998
"""RFC 5322 2.1.1, without the CRLF."""

_BARE_CR = re.compile(rb"\r(?!\n)").search
_BARE_LF = re.compile(rb"(?<!\r)\n").search


def needs(content: bytes) -> str:
    """The least service the octets need, whatever was declared: 7BIT, 8BITMIME or BINARYMIME."""
    if not _fits_lines(content):
        return "BINARYMIME"
    return SEVEN_BIT if content.isascii() else EIGHT_BIT


def downgrade(content: bytes, target: str = SEVEN_BIT) -> bytes:
    """A message that fits 7BIT or 8BITMIME; the very same octets if it fits already.

    Raises ProtocolViolation where that cannot be done without harm: octets above 127 in a header (which needs
    SMTPUTF8), a signed or partial message, parts beyond the scanner's limits.
    """
    if _fits(content, target):
        return content
    parts = list(PartMap.unpack(scan(content).parts))
    if len(parts) >= MAX_PARTS or any(depth >= MAX_LEVELS for _, depth, *_ in parts):
        raise ProtocolViolation("too many parts to re-encode")
    _refuse_signed(content, parts, target)
    out: list[bytes] = []
    written = 0  # everything before this offset is in `out`
    is_message = True
    for kind, _, start, body, end in parts:
        header = content[start:body]
        if not _fits(header, target):
            raise ProtocolViolation("a header that is not 7-bit, or has over-long lines, cannot be re-encoded")
        declared = (first(header, b"content-transfer-encoding") or b"7bit").lower()
        if kind in (LEAF, TEXT) and not _fits(content[body:end], target):
            if not header:  # a multipart in which no delimiter was found
                raise ProtocolViolation("a multipart without parts cannot be re-encoded")
            name, encoded = _encode(transfer.decode(content[body:end], declared), kind)
            guess = "utf-8" if charset.is_utf8(content[body:end]) else "unknown-8bit"
            out += (content[written:start], _with_encoding(header, name, is_message, guess), encoded)
            written = end
        elif not _fits_name(declared, target):
            out += (content[written:start], _with_encoding(header, _plain_name(target), is_message, "us-ascii"))
            written = body
        is_message = kind == MESSAGE
    out.append(content[written:])
    result = b"".join(out)
    if not _fits(result, target):  # what lies between the parts: preamble, epilogue
        raise ProtocolViolation("text outside of the parts cannot be re-encoded")
    return result


def _fits_lines(data: bytes) -> bool:
    if b"\0" in data or _BARE_CR(data) or _BARE_LF(data):
        return False
    return len(data) <= MAX_LINE_OCTETS or max(map(len, data.split(b"\n"))) <= MAX_LINE_OCTETS + 1


def _fits(data: bytes, target: str) -> bool:
    return (target == EIGHT_BIT or data.isascii()) and _fits_lines(data)


def _plain_name(target: str) -> bytes:
    return b"7bit" if target == SEVEN_BIT else b"8bit"


def _fits_name(encoding: bytes, target: str) -> bool:
    """Whether a declared encoding may be sent to the target (`binary` and `8bit` are promises, not encodings)."""
    return encoding != b"binary" and (encoding != b"8bit" or target == EIGHT_BIT)


def _refuse_signed(content: bytes, parts: list[tuple[int, int, int, int, int]], target: str) -> None:
    for kind, _, start, body, end in parts:
        media = (first(content[start:body], b"content-type") or b"").lower()
        if kind == MULTIPART and media.startswith(b"multipart/signed") and not _fits(content[body:end], target):
            raise ProtocolViolation("re-encoding would break the message's own signature")
        if (
            kind == LEAF
            and media.startswith((b"message/partial", b"message/external-body"))
            and not _fits(content[body:end], target)
        ):
            raise ProtocolViolation("a partial message may not be re-encoded")


def _encode(data: bytes, kind: int) -> tuple[bytes, bytes]:
    if kind == TEXT and b"\0" not in data and not _BARE_CR(data) and not _BARE_LF(data):
        return b"quoted-printable", quoted_printable(data)
    return b"base64", base64(data)


def base64(data: bytes) -> bytes:
    """RFC 2045 6.8: lines of 76, CRLF between them and none at the end."""
    lines = [b2a_base64(data[at : at + 57], newline=False) for at in range(0, len(data), 57)]
    return b"\r\n".join(lines)


_QUOTE = re.compile(rb"[^\t\r\n -<>-~]|[ \t](?=\r?\n|\Z)")


def quoted_printable(data: bytes) -> bytes:
    """RFC 2045 6.7 for text with CRLF line ends: lines of 76 at most, line ends as they are."""
    encoded = _QUOTE.sub(lambda match: b"=%02X" % match.group()[0], data)
    lines = encoded.split(b"\r\n")
    for index, line in enumerate(lines):
        if len(line) > 76:
            lines[index] = _soften(line)
    return b"\r\n".join(lines)


def _soften(line: bytes) -> bytes:
    """Break a line with `=` at its end, never inside `=XX`."""
    pieces: list[bytes] = []
    at, size = 0, len(line)
    while size - at > 76:
        cut = at + 75
        if line[cut - 1] == 0x3D:
            cut -= 1
        elif line[cut - 2] == 0x3D:
            cut -= 2
        pieces.append(line[at:cut])
        at = cut
    pieces.append(line[at:])
    return b"=\r\n".join(pieces)


def _with_encoding(header: bytes, name: bytes, is_message: bool, guess: str) -> bytes:
    """The header block with its Content-Transfer-Encoding replaced or added.

    A message's own header gets what makes it MIME where that is missing; `guess` is the charset of text that names
    none (RFC 1428 3).
    """
    found = fields(header)
    present = {field for field, _ in found}
    out = [raw for field, raw in found if field != b"content-transfer-encoding"]
    if is_message and b"mime-version" not in present:
        out.append(b"MIME-Version: 1.0\r\n")
    if b"content-type" not in present:
        out.append(b"Content-Type: text/plain; charset=" + guess.encode() + b"\r\n")
    out.append(b"Content-Transfer-Encoding: " + name + b"\r\n\r\n")
    return b"".join(out)

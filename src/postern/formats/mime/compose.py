"""Messages made from what a client says: header fields, a body, attachments. Output is RFC 5322 with CRLF.

Entities are octets with their own header; the functions put them together and know nothing of where they came from.
"""

from __future__ import annotations

import re
from binascii import b2a_base64, b2a_qp
from collections.abc import Sequence
from urllib.parse import quote

import msgspec

from postern.model.ports import Entropy

_ATOMS = re.compile(r"[A-Za-z0-9!#$%&'*+\-/=?^_`{|}~ ]+").fullmatch
_CONTROLS = re.compile(r"[\x00-\x1f\x7f]+")
_WORD_BYTES = 45
"""Of an encoded word's text: with its frame it stays below 76 characters (RFC 2047 2)."""
_LINE = 76
_LONGEST_LINE = 990


class Mailbox(msgspec.Struct, frozen=True):
    """A name and an address."""

    name: str
    address: str


def clean(value: str) -> str:
    """Text fit for a header field: nothing that ends it."""
    return _CONTROLS.sub(" ", value).strip()


def unstructured(value: str) -> bytes:
    """A Subject and the like, in encoded words where it has to be (RFC 2047), folded."""
    value = clean(value)
    if value.isascii() and "=?" not in value:
        return _fold(value).encode("ascii")
    return b"\r\n ".join(_words(value))


def _words(value: str) -> list[bytes]:
    words, piece = [], b""
    for char in value:
        octets = char.encode("utf-8", "replace")
        if len(piece) + len(octets) > _WORD_BYTES:
            words.append(piece)
            piece = b""
        piece += octets
    words.append(piece)
    return [b"=?utf-8?B?%b?=" % b2a_base64(word, newline=False) for word in words if word]


def _fold(value: str) -> str:
    """Lines of 76 characters where there are spaces; of at most 990 in any case."""
    lines, line = [], ""
    for word in value.split(" "):
        while len(word) > _LONGEST_LINE:
            if line:
                lines.append(line)
                line = ""
            lines.append(word[:_LONGEST_LINE])
            word = word[_LONGEST_LINE:]
        if line and len(line) + 1 + len(word) > _LINE and word:
            lines.append(line)
            line = word
        else:
            line = f"{line} {word}" if line else word
    lines.append(line)
    return "\r\n ".join(lines)


def mailboxes(values: Sequence[Mailbox]) -> bytes:
    """An address list, one to a line."""
    return b",\r\n ".join(mailbox(one) for one in values)


def mailbox(value: Mailbox) -> bytes:
    """`"Name" <address>`; the address as it is, in UTF-8 if it has to be (RFC 6532)."""
    address = clean(value.address).replace("<", "").replace(">", "").encode("utf-8", "replace")
    name = clean(value.name)
    if not name or name == value.address:
        return address if b" " not in address else b"<%b>" % address
    if not name.isascii():
        return b"\r\n ".join(_words(name)) + b" <%b>" % address
    if _ATOMS(name):
        return name.encode() + b" <%b>" % address
    escaped = name.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}" '.encode() + b"<%b>" % address


def field(name: str, value: bytes) -> bytes:
    """A whole field."""
    return b"%b: %b\r\n" % (name.encode("ascii", "replace"), value)


def text_entity(text: str, subtype: str) -> bytes:
    """A text part with its header, in the encoding that costs least."""
    lines = text.replace("\r\n", "\n").replace("\r", "\n")
    octets = lines.encode("utf-8", "replace")
    head = f"Content-Type: text/{subtype}; charset={'us-ascii' if octets.isascii() else 'utf-8'}\r\n"
    if octets.isascii() and all(len(line) <= 78 for line in octets.split(b"\n")) and b"\0" not in octets:
        return f"{head}Content-Transfer-Encoding: 7bit\r\n\r\n".encode() + octets.replace(b"\n", b"\r\n")
    if sum(octet > 126 for octet in octets[:4096]) * 4 > min(len(octets), 4096):
        return f"{head}Content-Transfer-Encoding: base64\r\n\r\n".encode() + base64_lines(
            octets.replace(b"\n", b"\r\n")
        )
    encoded = b2a_qp(octets, istext=True).replace(b"\n", b"\r\n")
    return f"{head}Content-Transfer-Encoding: quoted-printable\r\n\r\n".encode() + encoded


def base64_lines(octets: bytes) -> bytes:
    """Base64 in lines of 76."""
    encoded = b2a_base64(octets, newline=False)
    return b"".join(encoded[at : at + _LINE] + b"\r\n" for at in range(0, len(encoded), _LINE))


def parameter(name: str, value: str) -> str:
    """`; name="value"` of a field such as Content-Disposition (RFC 2231 where it has to be)."""
    value = clean(value)
    if value.isascii():
        escaped = value.replace("\\", "\\\\").replace('"', '\\"')
        return f'; {name}="{escaped}"'
    return f"; {name}*=utf-8''{quote(value.encode('utf-8', 'replace'), safe='')}"


_TYPE = re.compile(r"[A-Za-z0-9!#$&^_.+\-]{1,100}/[A-Za-z0-9!#$&^_.+\-]{1,100}").fullmatch


def file_entity(
    octets: bytes, name: str, content_type: str, *, content_id: str = "", location: str = "", inline: bool = False
) -> bytes:
    """An attachment with its header."""
    type_ = content_type.strip().lower() if _TYPE(content_type.strip()) else "application/octet-stream"
    if type_.startswith(("multipart/", "message/")):
        type_ = "application/octet-stream"
    head = f"Content-Type: {type_}{parameter('name', name) if name else ''}\r\n"
    head += f"Content-Disposition: {'inline' if inline else 'attachment'}"
    head += f"{parameter('filename', name) if name else ''}\r\nContent-Transfer-Encoding: base64\r\n"
    if content_id:
        head += f"Content-ID: <{clean(content_id).strip('<>')}>\r\n"
    if location:
        head += f"Content-Location: {clean(location)}\r\n"
    return head.encode("utf-8", "replace") + b"\r\n" + base64_lines(octets)


def message_entity(content: bytes, name: str) -> bytes:
    """A message as an attachment."""
    head = f"Content-Type: message/rfc822\r\nContent-Disposition: attachment{parameter('filename', name)}\r\n"
    return head.encode() + b"\r\n" + content


def multipart(subtype: str, entities: Sequence[bytes], entropy: Entropy) -> bytes:
    """Several entities as one."""
    boundary = f"=_{entropy.token(18).hex()}".encode()
    head = b'Content-Type: multipart/%b;\r\n boundary="%b"\r\n\r\n' % (subtype.encode(), boundary)
    body = b"".join(b"--%b\r\n%b\r\n" % (boundary, entity) for entity in entities)
    return head + body + b"--%b--\r\n" % boundary


def assemble(fields: Sequence[bytes], body: bytes, attachments: Sequence[bytes], entropy: Entropy) -> bytes:
    """A message of header fields, the entity to read, and what hangs on it."""
    if not attachments:
        return b"".join(fields) + b"MIME-Version: 1.0\r\n" + body
    inline = [one for one in attachments if _is_inline(one)]
    others = [one for one in attachments if not _is_inline(one)]
    if inline:
        body = multipart("related", [body, *inline], entropy)
    if others:
        body = multipart("mixed", [body, *others], entropy)
    return b"".join(fields) + b"MIME-Version: 1.0\r\n" + body


def _is_inline(entity: bytes) -> bool:
    head = entity[: entity.find(b"\r\n\r\n")].lower()
    return b"content-id:" in head and b"content-disposition: attachment" not in head

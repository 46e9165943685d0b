"""Making a message fit what a next hop can take: re-encoded, or refused with a clear 5.6.x (RFC 6152, 3030, 6531)."""

from __future__ import annotations

import msgspec

from postern.formats.mime.downgrade import downgrade, needs
from postern.model.addresses import normalise_domain, split
from postern.model.envelope import Envelope, Recipient
from postern.model.refusal import ProtocolViolation, Refusal
from postern.protocols.smtp.client import Extensions


class Unfit(Exception):  # noqa: N818 - the field's word
    """The next hop can never take this message. `status` is an enhanced status code."""

    def __init__(self, status: str, text: str) -> None:
        super().__init__(text)
        self.status = status
        self.text = text


class Fitted(msgspec.Struct, frozen=True):
    """What will be sent."""

    envelope: Envelope
    """Recipients that cannot be addressed are left out."""
    content: bytes
    unfit: dict[int, str]
    """Index of a left-out recipient -> why; the status is 5.6.7."""


def fit(envelope: Envelope, content: bytes, extensions: Extensions) -> Fitted:
    """The message as this next hop can take it. Raises Unfit."""
    unfit: dict[int, str] = {}
    if "SMTPUTF8" not in extensions:
        envelope, unfit = _without_utf8(envelope, content)
    elif not envelope.smtputf8 and not _is_ascii(envelope):
        envelope = msgspec.structs.replace(envelope, smtputf8=True)
    body, content = _fit_body(envelope.body, content, extensions)
    limit = extensions.size_limit_bytes
    if limit is not None and len(content) > limit:
        raise Unfit("5.3.4", f"the message has {len(content)} octets, the next hop takes {limit}")
    return Fitted(msgspec.structs.replace(envelope, body=body), content, unfit)


def _is_ascii(envelope: Envelope) -> bool:
    return envelope.reverse_path.isascii() and all(r.address.isascii() for r in envelope.recipients)


def _without_utf8(envelope: Envelope, content: bytes) -> tuple[Envelope, dict[int, str]]:
    """RFC 6531 3.2: without SMTPUTF8 only what is ASCII in fact may be sent; domains have an ASCII form."""
    if envelope.smtputf8:
        end = content.find(b"\r\n\r\n")
        if not content[: end if end >= 0 else len(content)].isascii():
            raise Unfit("5.6.9", "the next hop cannot take a header with characters beyond ASCII (no SMTPUTF8)")
    elif _is_ascii(envelope):
        return envelope, {}
    sender = _ascii(envelope.reverse_path)
    if sender is None:
        raise Unfit("5.6.7", f"the next hop cannot take the sender address {envelope.reverse_path} (no SMTPUTF8)")
    kept: list[Recipient] = []
    unfit: dict[int, str] = {}
    for number, recipient in enumerate(envelope.recipients):
        address = _ascii(recipient.address)
        if address is None:
            unfit[number] = f"the next hop cannot take the address {recipient.address} (no SMTPUTF8)"
        else:
            kept.append(msgspec.structs.replace(recipient, address=address))
    changed = msgspec.structs.replace(envelope, reverse_path=sender, recipients=tuple(kept), smtputf8=False)
    return changed, unfit


def _ascii(address: str) -> str | None:
    if address.isascii():
        return address
    local, domain = split(address)
    if not local.isascii():
        return None
    try:
        return f"{local}@{normalise_domain(domain)}"
    except Refusal:
        return None


def _fit_body(body: str, content: bytes, extensions: Extensions) -> tuple[str, bytes]:
    """BODY parameter and content."""
    eight = "8BITMIME" in extensions
    if body == "BINARYMIME":
        if "BINARYMIME" in extensions and "CHUNKING" in extensions:
            return body, content
        # declared binary, perhaps plain lines in fact
        body = needs(content)
        if body == "BINARYMIME":
            return _reencode(content, "8BITMIME" if eight else "7BIT")
    if content.isascii():
        return "7BIT", content
    if eight:
        return "8BITMIME", content
    return _reencode(content, "7BIT")


def _reencode(content: bytes, target: str) -> tuple[str, bytes]:
    try:
        content = downgrade(content, target)
    except ProtocolViolation as problem:
        raise Unfit(
            "5.6.3", f"the next hop takes no {'8-bit' if target == '7BIT' else 'binary'} mail: {problem}"
        ) from problem
    return ("7BIT" if content.isascii() else "8BITMIME"), content

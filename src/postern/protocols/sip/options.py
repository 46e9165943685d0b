"""OPTIONS (RFC 3261 11): which methods a server knows. It sets up no call and rings no telephone."""

from __future__ import annotations

from postern.model.refusal import ProtocolViolation
from postern.protocols.http.head import Head, parse

ANSWERS_LIMIT = 16
"""Responses before ours is final."""


def request(host: str, local: str, transport: str, tag: str) -> bytes:
    """An OPTIONS for a server; `transport` is UDP, TCP or TLS, `tag` is unpredictable, `local` is address:port."""
    scheme = "sips" if transport == "TLS" else "sip"
    literal = f"[{host}]" if ":" in host else host
    lines = [
        f"OPTIONS {scheme}:{literal} SIP/2.0",
        f"Via: SIP/2.0/{transport} {local};branch=z9hG4bK{tag};rport",
        "Max-Forwards: 70",
        f"From: <{scheme}:postern-check@{local}>;tag={tag[:8]}",
        f"To: <{scheme}:{literal}>",
        f"Call-ID: {tag}@postern-check",
        "CSeq: 1 OPTIONS",
        f"Contact: <{scheme}:postern-check@{local};transport={transport.lower()}>",
        "Accept: application/sdp",
        "Content-Length: 0",
    ]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("ascii")


def answer(data: bytes, tag: str) -> Head | None:
    """The final response to our request; None if it has not come. Raises ProtocolViolation.

    Provisional responses (1xx) and responses to somebody else's request are passed over.
    """
    for _ in range(ANSWERS_LIMIT):
        if not data:
            return None
        head = parse(data)
        if head is None:
            return None
        if head.status >= 200 and head.get("call-id").startswith(tag):
            return head
        length = head.get("content-length")
        body = int(length) if length.isascii() and length.isdigit() and len(length) < 8 else 0
        data = data[data.index(b"\r\n\r\n") + 4 + body :]
    raise ProtocolViolation("provisional answers without end")


def methods(head: Head) -> tuple[str, ...]:
    """Methods of the Allow field."""
    return tuple(word.strip().upper() for value in head.all("allow") for word in value.split(",") if word.strip())

"""Base64 as SASL profiles of line protocols use it (RFC 4954 4, RFC 9051 6.2.2, RFC 5034 4)."""

from __future__ import annotations

from binascii import Error, a2b_base64, b2a_base64

from postern.model.refusal import ProtocolViolation

RESPONSE_LIMIT_BYTES = 65536
"""Longest line of an exchange, CRLF included. RFC 4954 4.5 asks for 12288; tickets of Active Directory go to 48000
octets before base64 (MaxTokenSize)."""


def decode(text: bytes) -> bytes:
    """A client response line. Raises ProtocolViolation."""
    try:
        return a2b_base64(text, strict_mode=True) if text else b""
    except Error as error:
        raise ProtocolViolation("invalid base64") from error


def decode_initial(text: bytes) -> bytes:
    """An initial response, in which `=` stands for the empty one. Raises ProtocolViolation."""
    return b"" if text == b"=" else decode(text)


def encode(data: bytes) -> bytes:
    """A challenge, or a client's response, without line end."""
    return b2a_base64(data, newline=False)

"""Commands that are understood and answered by a response of their own."""

from __future__ import annotations

from postern.model.refusal import ProtocolViolation


class Declined(ProtocolViolation):
    """Answer with `response`: `NO [CODE] text` or `BAD [CODE] text`."""

    def __init__(self, response: bytes) -> None:
        super().__init__(response.decode("ascii"))
        self.response = response


def uid_required() -> Declined:
    """A message sequence number after ENABLE UIDONLY (RFC 9586 3)."""
    return Declined(b"BAD [UIDREQUIRED] Message numbers are not used after ENABLE UIDONLY")

"""The registry of token schemes: what is not registered is not spoken."""

from __future__ import annotations

import pytest

from postern.model.refusal import Reason
from postern.services.negotiation import Circumstances, Negotiations, Refused, Step


class Never:
    def __init__(self, circumstances: Circumstances) -> None:
        self.circumstances = circumstances

    async def step(self, token: bytes) -> Step:
        return Refused(Reason.BAD_CREDENTIALS, repr(token))

    def close(self) -> None:
        pass


async def test_a_scheme_is_known_by_its_name_whatever_the_case():
    negotiations = Negotiations()
    assert not negotiations.knows("Negotiate")
    negotiations.register("Negotiate", Never)
    assert negotiations.knows("NEGOTIATE") and negotiations.knows("negotiate")
    assert dict(negotiations.schemes) == {"negotiate": "Negotiate"}
    exchange = negotiations.begin("nEgOtIaTe", Circumstances("192.0.2.1", "http", b"hash", True, "mail.example.org"))
    assert isinstance(exchange, Never) and exchange.circumstances.binding_required
    assert await exchange.step(b"x") == Refused(Reason.BAD_CREDENTIALS, "b'x'")


def test_a_scheme_that_nobody_registered_cannot_begin():
    with pytest.raises(KeyError):
        Negotiations().begin("NTLM", Circumstances("192.0.2.1", "http"))

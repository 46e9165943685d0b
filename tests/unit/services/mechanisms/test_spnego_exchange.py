"""SPNEGO with NTLM inside: pyspnego as the client, and hand-made tokens."""

from __future__ import annotations

import pytest
import spnego
from tests.unit.services.mechanisms.conftest import END_POINT, PASSWORD
from tests.unit.services.mechanisms.test_ntlm_acceptor import client as ntlm_client
from tests.unit.services.mechanisms.test_ntlm_acceptor import converse

from postern.formats import spnego as tokens
from postern.formats.ntlm import keys
from postern.formats.spnego import State
from postern.services.negotiation import Accepted, Continue, Refused


def client(**options):
    return spnego.client(
        "anna@example.org", PASSWORD, "mail.example.org", "http", protocol="negotiate",
        options=spnego.NegotiateOptions.use_negotiate, **options,
    )  # fmt: skip


async def test_negotiate_ends_with_ntlm_and_protected_lists(world):
    peer = client()
    outcome = await converse(world.begin(world.open(), "Negotiate", "http"), peer)
    assert isinstance(outcome, Accepted), outcome
    assert outcome.mechanism == "NTLMv2"
    last = tokens.parse(outcome.token)
    assert last.state is State.ACCEPT_COMPLETED
    peer.step(outcome.token)  # the oracle checks our MIC over its list
    assert peer.complete


async def test_raw_ntlm_under_the_name_of_negotiate(world):
    outcome = await converse(world.begin(world.open(), "Negotiate"), ntlm_client(end_point=END_POINT))
    assert isinstance(outcome, Accepted)


async def test_unknown_mechanisms(world):
    exchange = world.begin(world.open(), "Negotiate")
    outcome = await exchange.step(tokens.init(("1.2.3.4", tokens.KERBEROS), b"what"))
    assert isinstance(outcome, Refused)
    assert "no SPNEGO mechanism in common: 1.2.3.4, 1.2.840" in outcome.detail


@pytest.mark.parametrize("protocol", ["imap", "pop3"])
async def test_spnego_is_no_way_to_ntlm_where_it_is_not_offered(world, protocol):
    authentication = world.open()
    exchange = world.begin(authentication, "Negotiate", protocol)
    assert isinstance(await exchange.step(tokens.init((tokens.NTLM,), ntlm_client().step())), Refused)
    raw = world.begin(authentication, "Negotiate", protocol)
    assert isinstance(await raw.step(ntlm_client().step()), Refused)


class SecondChoice:
    """A client that would rather speak something else, and has to protect its list then (RFC 4178 5)."""

    def __init__(self, mic=None) -> None:
        self.ntlm = ntlm_client()
        self.mechanisms = ("1.2.3.4", tokens.NTLM)
        self.mic = mic

    def step(self, token=None):
        if token is None:
            return tokens.init(self.mechanisms, b"optimistic token of the other mechanism")
        answer = tokens.parse(token)
        if not answer.token:
            assert (answer.state, answer.mechanism) == (State.REQUEST_MIC, tokens.NTLM)
            return tokens.response(State.ACCEPT_INCOMPLETE, token=self.ntlm.step())
        last = self.ntlm.step(answer.token)
        return tokens.response(State.ACCEPT_INCOMPLETE, token=last, mic=self.make_mic())

    def make_mic(self):
        if self.mic is not None:
            return self.mic
        listed = tokens.parse(tokens.init(self.mechanisms)).listed
        return self.ntlm.sign(listed)


async def test_a_second_choice_with_a_protected_list(world):
    peer = SecondChoice()
    outcome = await converse(world.begin(world.open(), "Negotiate"), peer)
    assert isinstance(outcome, Accepted), outcome
    listed = tokens.parse(tokens.init(peer.mechanisms)).listed
    peer.ntlm.verify(listed, tokens.parse(outcome.token).mic)


async def test_a_list_that_an_attacker_changed(world):
    """It takes Kerberos off the list; the client's code is over the list it sent."""
    outcome = await converse(world.begin(world.open(), "Negotiate"), SecondChoice(b"\1\0\0\0" + bytes(12)))
    assert isinstance(outcome, Refused)
    assert "list of SPNEGO mechanisms was changed" in outcome.detail


async def test_a_second_choice_without_protection_gets_nowhere(world):
    exchange = world.begin(world.open(), "Negotiate")
    peer = SecondChoice(b"")
    answer = await exchange.step(peer.step())
    for _ in range(2):
        answer = await exchange.step(peer.step(answer.token))
    assert isinstance(answer, Continue), "asks for the missing code"
    assert tokens.parse(answer.token).mic
    outcome = await exchange.step(tokens.response(State.ACCEPT_COMPLETED))
    assert isinstance(outcome, Refused)
    assert "not protected" in outcome.detail


@pytest.mark.parametrize("hello", [b"", tokens.init((tokens.NTLM,))])
async def test_a_client_that_only_names_what_it_speaks(world, hello):
    answer = await world.begin(world.open(), "Negotiate").step(hello)
    assert isinstance(answer, Continue)
    if hello:
        assert tokens.parse(answer.token).mechanism == tokens.NTLM


@pytest.mark.parametrize(
    "token",
    [
        b"\x60",
        b"\xa1\x03\x30\x01\x00",
        tokens.response(State.ACCEPT_INCOMPLETE, token=b"x"),
        tokens.init((tokens.NTLM,), b"NTLMSSP\0\7\0\0\0"),
        bytes.fromhex("600b06092a864886f712010202"),
        b"\x00" * 100,
    ],
)
async def test_tokens_that_make_no_sense(world, token):
    outcome = await world.begin(world.open(), "Negotiate").step(token)
    assert isinstance(outcome, Refused)


async def test_beginning_twice(world):
    exchange = world.begin(world.open(), "Negotiate")
    hello = tokens.init((tokens.NTLM,), ntlm_client().step())
    assert isinstance(await exchange.step(hello), Continue)
    outcome = await exchange.step(hello)
    assert isinstance(outcome, Refused)
    assert "second time" in outcome.detail


def test_the_signature_changes_with_the_side():
    flags = ntlm_flags()
    key = b"k" * 16
    sides = {keys.signature(key, flags, b"m", by_client=side) for side in (True, False)}
    assert len(sides) == 2


def ntlm_flags():
    from postern.formats.ntlm.messages import Flags

    return Flags.SIGN | Flags.KEY_EXCHANGE | Flags.NEGOTIATE_128

"""NTLM sign-in: pyspnego as the client, relays and downgrades as attackers do them."""

from __future__ import annotations

import pytest
import spnego
from spnego.channel_bindings import GssChannelBindings
from tests.unit.services.mechanisms.conftest import END_POINT, PASSWORD

from postern.directory.interface import Domain, NewAccount
from postern.formats.ntlm import keys, messages
from postern.model.refusal import Reason
from postern.services.negotiation import Accepted, Continue, Refused


def client(user="anna@example.org", password=PASSWORD, service="smtp", host="mail.example.org", end_point=None):
    bindings = None
    if end_point is not None:
        bindings = GssChannelBindings(application_data=b"tls-server-end-point:" + end_point)
    return spnego.client(
        user, password, host, service, channel_bindings=bindings, protocol="ntlm",
        options=spnego.NegotiateOptions.use_ntlm,
    )  # fmt: skip


async def converse(exchange, peer, meddle=lambda number, token: token):
    """All tokens to and fro; `meddle` sits in between. The server's last word."""
    token, number = peer.step(), 0
    while True:
        outcome = await exchange.step(meddle(number, token))
        if not isinstance(outcome, Continue):
            return outcome
        token, number = peer.step(meddle(number + 1, outcome.token)), number + 2


async def test_sign_in(world):
    authentication = world.open()
    outcome = await converse(world.begin(authentication, "NTLM"), client())
    assert isinstance(outcome, Accepted)
    assert outcome.principal.address == "anna@example.org"
    assert (outcome.mechanism, outcome.bound) == ("NTLMv2", False)
    assert not world.waits


@pytest.mark.parametrize("user", ["EXAMPLE.ORG\\anna", "anything\\ANNA", "anna", "Anna@Example.org"])
async def test_ways_to_write_a_name(world, user):
    outcome = await converse(world.begin(world.open(), "NTLM"), client(user))
    assert isinstance(outcome, Accepted), outcome


@pytest.mark.parametrize(("user", "address"), [("ACME\\anna", "anna@example.net"), ("other\\anna", "anna@example.org")])
async def test_the_netbios_name_tells_whose_user_it_is(world, user, address):
    await world.directory.put_domain(Domain("example.net"))
    (other,) = await world.directory.create_accounts([NewAccount("anna@example.net")])
    await world.directory.put_derived_keys(other.id, {"nt": keys.nt_hash(PASSWORD)})
    text = "[ntlm]\naccounts = true\n[authentication.domains]\nacme = 'example.net'\nOther = 'example.org'\n"
    outcome = await converse(world.begin(world.open(text), "NTLM"), client(user))
    assert isinstance(outcome, Accepted), outcome
    assert outcome.principal.address == address


async def test_bound_to_this_connection(world):
    outcome = await converse(world.begin(world.open(), "NTLM"), client(end_point=END_POINT))
    assert isinstance(outcome, Accepted)
    assert outcome.bound


@pytest.mark.parametrize(
    ("user", "password", "cause"),
    [
        ("anna@example.org", "wrong", "wrong password"),
        ("bert@example.org", PASSWORD, "no NT hash"),
        ("nobody@example.org", PASSWORD, "no such account"),
    ],
)
async def test_wrong_ones_fail_alike(world, user, password, cause):
    outcome = await converse(world.begin(world.open(), "NTLM"), client(user, password))
    assert isinstance(outcome, Refused)
    assert outcome.reason is Reason.BAD_CREDENTIALS
    assert cause in outcome.detail
    assert user in outcome.detail
    assert world.waits == [0.5]


async def test_guessing_closes_the_account_to_ntlm_too(world):
    authentication = world.open(failures_per_account=3, failures_per_address=0)
    for attempt in range(3):
        await converse(world.begin(authentication, "NTLM"), client(password=f"guess {attempt}"))
    outcome = await converse(world.begin(authentication, "NTLM"), client())
    assert isinstance(outcome, Refused)
    assert outcome.reason is Reason.TOO_MANY_FAILURES


async def test_a_disabled_account_is_told_from_a_wrong_password_in_the_log_only(world):
    await world.disable("anna@example.org")
    outcome = await converse(world.begin(world.open(), "NTLM"), client())
    assert isinstance(outcome, Refused)
    assert outcome.reason is Reason.ACCOUNT_DISABLED


# --- relays: the attacker has the victim's messages, made for a connection to the attacker


async def test_ntlm_relay_from_another_tls_connection(world):
    """The victim is connected to the attacker's server, whose certificate is sealed into its proof."""
    outcome = await converse(world.begin(world.open(), "NTLM"), client(end_point=b"\x66" * 32))
    assert isinstance(outcome, Refused)
    assert "relayed" in outcome.detail


async def test_ntlm_relay_of_a_bound_sign_in_to_clear_text(world):
    exchange = world.begin(world.open(), "NTLM", server_end_point=b"")
    outcome = await converse(exchange, client(end_point=END_POINT))
    assert isinstance(outcome, Refused)
    assert "there is none here" in outcome.detail


@pytest.mark.parametrize(
    ("service", "host"), [("cifs", "files.example.org"), ("smtp", "attacker.test"), ("cifs", "mail.example.org")]
)
async def test_ntlm_relay_from_another_service(world, service, host):
    """The victim meant a file server, or the attacker's: the target name says so, and the proof seals it."""
    outcome = await converse(world.begin(world.open(), "NTLM"), client(service=service, host=host))
    assert isinstance(outcome, Refused)
    assert "relayed" in outcome.detail


@pytest.mark.parametrize(
    ("service", "host"), [("SMTP", "MAIL.example.org"), ("smtpsvc", "mail"), ("smtp", "mx.example.org")]
)
async def test_our_own_names(world, service, host):
    authentication = world.open('[ntlm]\naccounts = true\nnames = ["mx.example.org"]\n')
    outcome = await converse(world.begin(authentication, "NTLM"), client(service=service, host=host))
    assert isinstance(outcome, Accepted), outcome


async def test_ntlm_relay_without_a_binding_fails_where_one_is_required(world):
    required = "[authentication]\nrequire_channel_binding = true\n[ntlm]\naccounts = true\n"
    authentication = world.open(required)
    outcome = await converse(world.begin(authentication, "NTLM"), client())
    assert isinstance(outcome, Refused)
    assert "bound to no TLS connection" in outcome.detail
    bound = await converse(world.begin(authentication, "NTLM"), client(end_point=END_POINT))
    assert isinstance(bound, Accepted)


async def test_a_relay_that_changes_the_first_message_breaks_the_mic(world):
    """Signing is negotiated away (CVE-2019-1040 and before): the MIC covers all three messages."""

    def meddle(number, token):
        return token[:12] + bytes((token[12] & ~0x10,)) + token[13:] if number == 0 else token

    outcome = await converse(world.begin(world.open(), "NTLM"), client(), meddle)
    assert isinstance(outcome, Refused)
    assert "wrong MIC" in outcome.detail


async def test_a_relay_that_changes_the_challenge_is_found_out(world):
    """Without the time stamp a client sends no MIC; but then it does not send our information back."""

    def meddle(number, token):
        if number != 1:
            return token
        return token.replace(b"m\0a\0i\0l\0.\0", b"f\0i\0l\0e\0.\0")

    outcome = await converse(world.begin(world.open(), "NTLM"), client(host=None, service=None), meddle)
    assert isinstance(outcome, Refused)


async def test_replayed_answers_fit_no_other_challenge(world):
    authentication = world.open()
    seen = []
    first = await converse(
        world.begin(authentication, "NTLM"), client(), lambda number, token: seen.append(token) or token
    )
    assert isinstance(first, Accepted)
    again = world.begin(authentication, "NTLM")
    assert isinstance(await again.step(seen[0]), Continue)
    assert isinstance(await again.step(seen[2]), Refused)


async def test_a_client_that_takes_its_time(world):
    exchange, peer = world.begin(world.open(), "NTLM"), client()
    answer = await exchange.step(peer.step())
    world.clock.ahead_s = 301
    outcome = await exchange.step(peer.step(answer.token))
    assert isinstance(outcome, Refused)
    assert "too old" in outcome.detail


@pytest.mark.parametrize("size", [3, 9, 14, 40, 80, 120])
async def test_truncated_messages(world, size):
    authentication = world.open()
    for cut in (0, 2):
        outcome = await converse(
            world.begin(authentication, "NTLM"),
            client(),
            lambda number, token, cut=cut: token[:size] if number == cut and len(token) > size else token,
        )
        if cut == 0 and size > 31:
            continue
        assert isinstance(outcome, Refused), (cut, size)
        assert outcome.reason is Reason.BAD_CREDENTIALS


async def test_a_mic_can_be_required(world):
    """curl sends none."""
    authentication = world.open("[ntlm]\naccounts = true\nrequire_mic = true\n")
    assert isinstance(await converse(world.begin(authentication, "NTLM"), client()), Accepted)


async def test_challenges_differ(world):
    authentication = world.open()
    hello = client().step()
    answers = [await world.begin(authentication, "NTLM").step(hello) for _ in range(50)]
    assert len({answer.token[24:32] for answer in answers}) == 50


async def test_ntlm_is_there_only_when_switched_on(world):
    assert not world.open("").negotiations.schemes
    assert set(world.open().negotiations.schemes) == {"ntlm", "negotiate"}


def test_no_response_is_longer_than_a_challenge_allows():
    assert messages.MESSAGE_LIMIT_BYTES < 65536

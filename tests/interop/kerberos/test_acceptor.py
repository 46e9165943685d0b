"""The Kerberos acceptor with tickets of a real domain: right ones, and everything that can be wrong with one."""

from __future__ import annotations

import os
import struct
import subprocess
from pathlib import Path

import pytest
from tests.interop.kerberos.conftest import HOST, PASSWORD
from tests.unit.services.mechanisms.conftest import END_POINT, world  # noqa: F401 - a fixture

from postern.directory.interface import Server
from postern.formats import spnego as tokens
from postern.services.negotiation import Accepted, Continue, Refused

pytestmark = [pytest.mark.interop, pytest.mark.timeout(180)]


@pytest.fixture
def settings(kerberos, monkeypatch):
    """Settings of a member of the domain; the library of this process finds the realm."""
    monkeypatch.setenv("KRB5_CONFIG", str(kerberos.controller.krb5_conf))
    return f'[kerberos]\nkeytab = "{kerberos.keytab}"\nrealms = {{ "{kerberos.controller.realm}" = "example.org" }}\n'


class Client:
    """A GSS-API initiator."""

    def __init__(self, cache, service="smtp", host=HOST, end_point=END_POINT, mutual=True, store=True):
        import gssapi
        from gssapi.raw import ChannelBindings

        bindings = None
        if end_point is not None:
            bindings = ChannelBindings(application_data=b"tls-server-end-point:" + end_point)
        flags = gssapi.RequirementFlag.integrity | (gssapi.RequirementFlag.mutual_authentication if mutual else 0)
        self.context = gssapi.SecurityContext(
            name=gssapi.Name(f"{service}@{host}", gssapi.NameType.hostbased_service),
            creds=gssapi.Credentials(usage="initiate", store={"ccache": cache}),
            mech=gssapi.OID.from_int_seq(tokens.KERBEROS), flags=flags, channel_bindings=bindings, usage="initiate",
        )  # fmt: skip

    def step(self, token=None):
        return self.context.step(token)


@pytest.fixture
def client(kerberos, settings):
    def make(service="smtp", user="anna", **options):
        return Client(kerberos.tickets(user)["KRB5CCNAME"], service, **options)

    return make


async def spoken(exchange, peer):
    """SPNEGO around a mechanism of one token."""
    return await exchange.step(tokens.init((tokens.KERBEROS, tokens.NTLM), peer.step()))


async def test_a_ticket_signs_in(world, settings, client):  # noqa: F811
    peer = client("HTTP")
    outcome = await spoken(world.begin(world.open(settings), "Negotiate", "http"), peer)
    assert isinstance(outcome, Accepted), outcome
    assert outcome.principal.address == "anna@example.org"
    assert (outcome.mechanism, outcome.bound) == ("Kerberos", True)
    assert outcome.expires_at > world.clock.timestamp() + 600
    answer = tokens.parse(outcome.token)
    assert (answer.state, answer.mechanism) == (tokens.State.ACCEPT_COMPLETED, tokens.KERBEROS)
    peer.step(answer.token)
    assert peer.context.complete, "the server has proved itself"


@pytest.mark.parametrize("oid", [tokens.KERBEROS, tokens.KERBEROS_MICROSOFT])
async def test_both_names_of_kerberos_and_none(world, settings, client, oid):  # noqa: F811
    exchange = world.begin(world.open(settings), "Negotiate", "smtp")
    assert isinstance(await exchange.step(tokens.init((oid,), client().step())), Accepted)
    bare = world.begin(world.open(settings), "Negotiate", "smtp")
    assert isinstance(await bare.step(client().step()), Accepted)


async def test_sasl_gssapi_agrees_on_no_layer(world, settings, client):  # noqa: F811
    for authzid, accepted in ((b"", True), (b"anna@example.org", True), (b"bert@example.org", False)):
        exchange, peer = world.begin(world.open(settings), "GSSAPI", "imap"), client("imap")
        answer = await exchange.step(peer.step())
        assert isinstance(answer, Continue)
        peer.step(answer.token)
        offer = await exchange.step(b"")
        assert peer.context.unwrap(offer.token).message == b"\1\0\0\0"
        outcome = await exchange.step(peer.context.wrap(b"\1\0\0\0" + authzid, False).message)
        assert isinstance(outcome, Accepted) is accepted, outcome


@pytest.mark.parametrize("chosen", [b"\4\0\0\0", b"\2\0\x10\0", b"", b"\1"])
async def test_sasl_gssapi_layers_that_were_not_offered(world, settings, client, chosen):  # noqa: F811
    exchange, peer = world.begin(world.open(settings), "GSSAPI", "imap"), client("imap")
    peer.step((await exchange.step(peer.step())).token)
    await exchange.step(b"")
    outcome = await exchange.step(peer.context.wrap(chosen, False).message if chosen else b"unprotected")
    assert isinstance(outcome, Refused)
    assert "layer" in outcome.detail


async def test_a_replayed_ticket_is_refused(world, settings, client):  # noqa: F811
    token = client().step()
    authentication = world.open(settings)
    assert isinstance(await world.begin(authentication, "Negotiate").step(token), Accepted)
    outcome = await world.begin(world.open(settings), "Negotiate").step(token)
    assert isinstance(outcome, Refused)
    assert "replayed" in outcome.detail


async def test_a_channel_binding_of_another_connection_is_refused(world, settings, client):  # noqa: F811
    outcome = await spoken(world.begin(world.open(settings), "Negotiate"), client(end_point=b"\x66" * 32))
    assert isinstance(outcome, Refused)
    assert "channel binding of another connection" in outcome.detail


async def test_a_channel_binding_can_be_required(world, settings, client):  # noqa: F811
    free = await spoken(world.begin(world.open(settings), "Negotiate"), client(end_point=None))
    assert isinstance(free, Accepted), free
    assert not free.bound
    strict = world.open("[authentication]\nrequire_channel_binding = true\n" + settings)
    outcome = await spoken(world.begin(strict, "Negotiate"), client(end_point=None))
    assert isinstance(outcome, Refused)
    assert "bound to no TLS connection" in outcome.detail
    assert isinstance(await spoken(world.begin(strict, "Negotiate"), client()), Accepted)


async def test_a_ticket_for_another_service_of_ours_is_refused(world, settings, client):  # noqa: F811
    outcome = await spoken(world.begin(world.open(settings), "Negotiate", "smtp"), client("imap"))
    assert isinstance(outcome, Refused)
    assert "imap/mail.example.org" in outcome.detail


async def test_a_wrong_keytab_is_named(world, settings, client, kerberos, tmp_path):  # noqa: F811
    """Same names, same versions, other keys: what is left after somebody set the password again elsewhere."""
    wrong = bytearray(kerberos.keytab.read_bytes())
    for start, size in keys_of(wrong):
        wrong[start : start + size] = os.urandom(size)
    path = tmp_path / "wrong.keytab"
    path.write_bytes(wrong)
    authentication = world.open(settings.replace(str(kerberos.keytab), str(path)))
    outcome = await spoken(world.begin(authentication, "Negotiate"), client())
    assert isinstance(outcome, Refused)
    assert "wrong keytab" in outcome.detail
    path.write_bytes(kerberos.keytab.read_bytes())
    os.utime(path, (1, 1))
    assert isinstance(await spoken(world.begin(authentication, "Negotiate"), client()), Accepted), "read anew"


async def test_a_keytab_without_the_service_is_named(world, settings, client, kerberos, tmp_path):  # noqa: F811
    path = tmp_path / "http.keytab"
    kerberos.controller.tool("domain", "exportkeytab", str(path), "--principal=Administrator")
    authentication = world.open(settings.replace(str(kerberos.keytab), str(path)))
    outcome = await spoken(world.begin(authentication, "Negotiate"), client())
    assert isinstance(outcome, Refused)
    assert "keytab has no key" in outcome.detail, outcome.detail


async def test_a_missing_keytab_is_a_failure_of_ours(world, settings, client, kerberos, tmp_path):  # noqa: F811
    authentication = world.open(settings.replace(str(kerberos.keytab), str(tmp_path / "none")))
    outcome = await spoken(world.begin(authentication, "Negotiate"), client())
    assert isinstance(outcome, Refused)
    assert outcome.reason.temporary
    assert "keytab" in outcome.detail


async def test_clock_skew_is_named(world, settings, kerberos):  # noqa: F811
    """The client's cache says that the KDC's clock is an hour ahead: its authenticators are."""
    cache = Path(kerberos.tickets()["KRB5CCNAME"].removeprefix("FILE:"))
    environment = {**os.environ, **kerberos.tickets()}
    subprocess.run(["kvno", f"smtp/{HOST}"], env=environment, check=True, capture_output=True)
    data = cache.read_bytes()
    size = int.from_bytes(data[2:4], "big")
    skewed = cache.with_name("skewed")
    skewed.write_bytes(data[:2] + struct.pack(">HHHii", 12, 1, 8, 3600, 0) + data[4 + size :])
    outcome = await spoken(world.begin(world.open(settings), "Negotiate"), Client(f"FILE:{skewed}"))
    assert isinstance(outcome, Refused)
    assert "clocks" in outcome.detail


async def test_users_that_are_not_ours(world, settings, client, kerberos):  # noqa: F811
    authentication = world.open(settings)
    outcome = await spoken(world.begin(authentication, "Negotiate"), client(user="nobody-here"))
    assert isinstance(outcome, Refused)
    assert "nobody signs in as nobody-here@example.org" in outcome.detail
    foreign = world.open(settings.replace(kerberos.controller.realm, "OTHER.EXAMPLE.ORG"))
    outcome = await spoken(world.begin(foreign, "Negotiate"), client())
    assert isinstance(outcome, Refused)
    assert "realm CORP.EXAMPLE.ORG is not one of OTHER.EXAMPLE.ORG" in outcome.detail


async def test_a_disabled_account_is_refused_though_its_ticket_is_good(world, settings, client):  # noqa: F811
    await world.disable("anna@example.org")
    outcome = await spoken(world.begin(world.open(settings), "Negotiate"), client())
    assert isinstance(outcome, Refused)
    assert outcome.reason.value == "account_disabled"


@pytest.mark.parametrize("cut", [20, 60, 300])
async def test_truncated_and_damaged_tokens(world, settings, client, cut):  # noqa: F811
    token = client().step()
    for broken in (token[:cut], token[:-cut], token[:-cut] + bytes(cut)):
        outcome = await world.begin(world.open(settings), "Negotiate").step(broken)
        assert isinstance(outcome, Refused)
        wrapped = await world.begin(world.open(settings), "Negotiate").step(tokens.init((tokens.KERBEROS,), broken))
        assert isinstance(wrapped, Refused)


def test_a_wrong_password_gets_no_ticket(kerberos):
    with pytest.raises(AssertionError):
        kerberos.tickets("anna", PASSWORD + "x")


def keys_of(keytab):
    """Where the key octets of a keytab's entries are (the file format of version 5.2)."""
    position = 2
    while position + 4 <= len(keytab):
        size = int.from_bytes(keytab[position : position + 4], "big", signed=True)
        position += 4
        if size > 0:
            at = position
            count = int.from_bytes(keytab[at : at + 2], "big")
            at += 2
            for _ in range(count + 1):
                at += 2 + int.from_bytes(keytab[at : at + 2], "big")
            at += 4 + 4 + 1 + 2  # name type, time stamp, version, encryption type
            length = int.from_bytes(keytab[at : at + 2], "big")
            yield at + 2, length
        position += abs(size)


async def acting(authentication, peer, world, authzid):  # noqa: F811
    """All of SASL's GSSAPI with a name to act for."""
    exchange = world.begin(authentication, "GSSAPI", "imap")
    peer.step((await exchange.step(peer.step())).token)
    await exchange.step(b"")
    return await exchange.step(peer.context.wrap(b"\1\0\0\0" + authzid, False).message)


async def test_a_front_end_acts_for_users_and_no_other_server_does(world, settings, client, kerberos):  # noqa: F811
    principal = f"postern-mail@{kerberos.controller.realm}"
    authentication = world.open(settings)
    for server, authzid, cause in (
        (None, b"anna@example.org", "nobody signs in as postern-mail@example.org"),
        (Server("front.example.org", principal=principal), b"anna@example.org", "it is no front end"),
        (Server("front.example.org", principal=principal, front_end=True), b"", "names nobody to act for"),
        (Server("front.example.org", principal=principal, front_end=True), b"anna@example.org", ""),
        (Server("front.example.org", principal=principal, front_end=True), b"post@example.org", "nobody signs in"),
    ):
        if server is not None:
            await world.directory.put_server(server)
        outcome = await acting(authentication, client("imap", user="postern-mail"), world, authzid)
        assert isinstance(outcome, Accepted) is (not cause), outcome
        if isinstance(outcome, Accepted):
            assert (outcome.principal.address, outcome.principal.front_end) == ("anna@example.org", "front.example.org")
        else:
            assert cause in outcome.detail
    unbound = client("imap", user="postern-mail", end_point=None)
    outcome = await acting(authentication, unbound, world, b"anna@example.org")
    assert "front.example.org bound to no TLS connection" in outcome.detail
    exchange = world.begin(authentication, "Negotiate", "http")
    outcome = await spoken(exchange, client("HTTP", user="postern-mail"))
    assert "may not act for users by http" in outcome.detail

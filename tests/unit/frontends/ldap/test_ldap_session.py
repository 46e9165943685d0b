"""Sign-in, encryption, order of requests, and what attackers try."""

from __future__ import annotations

import asyncio
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.stopwatch import stopwatch
from tests.unit.frontends.ldap.conftest import BASE, PASSWORD

from postern.formats import ber
from postern.frontends.ldap.answers import ENDED, RESULTS
from postern.model.refusal import ProtocolViolation, Reason
from postern.net.clock import SystemEntropy
from postern.net.stream import Ended, Stopping
from postern.protocols.autodiscover import scp
from postern.protocols.ldap import controls, filters, messages
from postern.protocols.ldap import operations as op
from postern.protocols.ldap.client import Disconnected
from postern.protocols.ldap.operations import Control, Scope
from postern.protocols.ldap.results import Code
from postern.protocols.ldap.server import ServerSession
from postern.protocols.sasl.client import start


async def disconnected(client) -> Disconnected:
    with pytest.raises(Disconnected) as notice:
        await client.answer()
    await client.task
    assert client.stream.closed
    return notice.value


def test_every_reason_has_a_result():
    assert set(RESULTS) == set(Reason)


# --- sign-in


@pytest.mark.parametrize("name", ["ann@example.org", f"mail=ann@example.org,{BASE}", "annie@example.org"])
async def test_simple_bind(connect, name):
    client = connect()
    assert (await client.sign_in(name)).ok
    answer = await client.run(client.extended(op.ExtendedRequest(controls.WHO_AM_I)))
    assert answer.value == b"u:ann@example.org"


@pytest.mark.parametrize("mechanism", ["PLAIN", "SCRAM-SHA-256"])
async def test_sasl(connect, mechanism):
    client = connect()
    exchange = start("ann@example.org", PASSWORD, [mechanism], SystemEntropy())
    assert exchange is not None
    assert (await client.run(client.authenticate(exchange))).ok
    assert await client.who("(cn=ann*)") == ["ann@example.org"]


@pytest.mark.parametrize(
    ("name", "password"),
    [("ann@example.org", "wrong"), ("nobody@example.org", "x"), ("secret=,=", "x"), ("cn=", "x"), ("\0", "x")],
)
async def test_every_refused_sign_in_looks_the_same(connect, name, password):
    client = connect()
    result = await client.sign_in(name, password)
    assert (result.code, result.diagnostic, result.matched_dn) == (Code.INVALID_CREDENTIALS, "", "")


async def test_a_name_with_an_empty_password_is_not_signed_in(connect):
    client = connect()
    _, data = client.request(op.BindRequest("ann@example.org", b""))
    client.stream.to_server.put_nowait(data)
    assert (await client.answer()).operation.result.code == Code.UNWILLING_TO_PERFORM
    assert (await client.find())[0].code == Code.INSUFFICIENT_ACCESS_RIGHTS


async def test_a_refused_sign_in_ends_the_one_before(client):
    assert (await client.sign_in(password="wrong")).code == Code.INVALID_CREDENTIALS
    assert (await client.find())[0].code == Code.INSUFFICIENT_ACCESS_RIGHTS
    assert client.authentication.watched == []


async def test_guessing_on_one_connection_ends(connect):
    client = connect(max_failures=3)
    for _ in range(3):
        assert (await client.sign_in(password="wrong")).code == Code.INVALID_CREDENTIALS
    assert (await disconnected(client)).result.code == Code.PROTOCOL_ERROR


async def test_anonymous_clients_see_the_root_dse_only(connect):
    client = connect()
    _, (root,), _ = await client.find(base="", scope=Scope.BASE, attributes=("*", "+"))
    assert root.attributes["namingContexts"] == (BASE.encode(),)
    assert b"PLAIN" in root.attributes["supportedSASLMechanisms"]
    assert (await client.run(client.bind())).ok
    answers = set()
    for base in ("", BASE, f"mail=ann@example.org,{BASE}", f"mail=nobody@example.org,{BASE}", "dc=x", "cn=Subschema",
                 "no name"):  # fmt: skip
        for scope in Scope:
            if base or scope:
                result, entries, _ = await client.find("(mail=ann@example.org)", base, scope)
                answers.add((result, len(entries)))
    ((result, count),) = answers  # no user enumeration: one answer to everything
    assert (result.code, count) == (Code.INSUFFICIENT_ACCESS_RIGHTS, 0)
    answer = await client.run(client.extended(op.ExtendedRequest(controls.WHO_AM_I)))
    assert answer.value == b""


async def test_no_password_is_taken_in_clear(connect):
    client = connect(tls=False)
    assert (await client.sign_in()).code == Code.CONFIDENTIALITY_REQUIRED
    _, data = client.request(op.BindRequest(mechanism="PLAIN", credentials=b"\0ann@example.org\0x"))
    client.stream.to_server.put_nowait(data)
    assert (await client.answer()).operation.result.code == Code.CONFIDENTIALITY_REQUIRED
    _, (root,), _ = await client.find(base="", scope=Scope.BASE, attributes=("+",))
    assert root.attributes["supportedSASLMechanisms"] == (b"SCRAM-SHA-256",)
    assert (await client.run(client.starttls())).ok
    client.tls_started()
    assert (await client.sign_in()).ok


async def test_simple_bind_goes_with_plain(connect):
    client = connect(mechanisms=("SCRAM-SHA-256",))
    assert (await client.sign_in()).code == Code.AUTH_METHOD_NOT_SUPPORTED


async def test_starttls_drops_what_was_injected(connect):
    client = connect(tls=False)
    _, start = client.request(op.ExtendedRequest(controls.STARTTLS))
    _, injected = client.request(op.ExtendedRequest(controls.WHO_AM_I))
    client.stream.to_server.put_nowait(start + injected)
    assert (await client.answer()).operation.result.ok
    await asyncio.sleep(0.05)
    assert not client.stream.to_client
    client.tls_started()
    assert (await client.sign_in()).ok


async def test_starttls_is_refused_where_it_makes_no_sense(connect, client):
    assert (await client.run(client.starttls())).code == Code.OPERATIONS_ERROR
    bare = connect(tls=False, starttls=False)
    assert (await bare.run(bare.starttls())).code == Code.UNAVAILABLE


async def test_a_session_ends_with_its_account(client):
    client.stream.to_server.put_nowait(Ended(Reason.PASSWORD_CHANGED))
    notice = await disconnected(client)
    assert notice.result.code == Code.STRONGER_AUTH_REQUIRED
    assert notice.result.diagnostic == ENDED[Reason.PASSWORD_CHANGED]
    assert client.authentication.watched == []


async def test_a_stopping_server_says_so(client):
    client.stream.to_server.put_nowait(Stopping())
    assert (await disconnected(client)).result.code == Code.UNAVAILABLE


# --- nothing is changed


@pytest.mark.parametrize(
    "operation",
    [
        op.ModifyRequest(f"mail=ann@example.org,{BASE}", ((op.Change.REPLACE, "cn", (b"Eve",)),)),
        op.AddRequest(f"mail=eve@example.org,{BASE}", {"cn": (b"Eve",)}),
        op.DeleteRequest(f"mail=ann@example.org,{BASE}"),
        op.Unknown(0x6C, ber.text("cn=x") + ber.text("cn=y") + ber.boolean(True)),
        op.Unknown(0x6E, ber.text("cn=x")),
    ],
)
async def test_changes_are_refused(client, operation):
    _, data = client.request(operation)
    client.stream.to_server.put_nowait(data)
    answer = (await client.answer()).operation
    result = answer.result if isinstance(answer, op.Done) else None
    assert result is None or result.code == Code.UNWILLING_TO_PERFORM
    assert (await client.who("(cn=ann*)")) == ["ann@example.org"]


async def test_unknown_critical_controls_are_refused(client):
    result, entries, _ = await client.find(given=(Control("1.2.3", critical=True),))
    assert (result.code, entries) == (Code.UNAVAILABLE_CRITICAL_EXTENSION, [])
    assert (await client.find(given=(Control("1.2.3"),)))[0].ok


# --- several at a time


async def test_requests_are_read_ahead_and_answered_in_order(client):
    numbers = []
    for _ in range(40):
        number, data = client.request(op.SearchRequest(BASE, filter=filters.parse("(cn=ann*)")))
        numbers.append(number)
        client.stream.to_server.put_nowait(data)
    done = []
    while len(done) < 40:
        message = await client.answer()
        if isinstance(message.operation, op.SearchDone):
            done.append(message.id)
    assert done == numbers


async def test_abandon_and_cancel(client):
    numbers = []
    batch = b""
    for _ in range(5):
        number, data = client.request(op.SearchRequest(BASE))
        numbers.append(number)
        batch += data
    batch += client.abandon(numbers[2])
    cancel, data = client.request(op.ExtendedRequest(controls.CANCEL, ber.sequence(ber.integer(numbers[3]))))
    batch += data
    missing, data = client.request(op.ExtendedRequest(controls.CANCEL, ber.sequence(ber.integer(999))))
    client.stream.to_server.put_nowait(batch + data)
    results = {}
    while len(results) < 6:
        message = await client.answer()
        if hasattr(message.operation, "result"):
            results[message.id] = message.operation.result.code
    assert numbers[2] not in results
    assert results[numbers[3]] == Code.CANCELED and results[cancel] == Code.SUCCESS
    assert results[missing] == Code.NO_SUCH_OPERATION


# --- attacks


def deep(count: int) -> bytes:
    inner = ber.text("cn", 0x87)
    for _ in range(count):
        inner = ber.element(0xA2, inner)
    return inner


def raw_search(found: bytes, attributes: bytes = b"") -> bytes:
    body = ber.text(BASE) + b"".join(
        [ber.integer(2, ber.ENUMERATED), ber.integer(0, ber.ENUMERATED), ber.integer(0), ber.integer(0)]
    )
    body += ber.boolean(False) + found + ber.sequence(attributes)
    return ber.sequence(ber.integer(7), ber.element(0x63, body))


@pytest.mark.parametrize(
    "data",
    [
        raw_search(deep(100)),
        raw_search(ber.sequence(*[ber.text("cn", 0x87)] * 6000, tag=0xA1)),
        raw_search(ber.text("cn", 0x87), ber.text("cn") * 2000),
        ber.sequence(ber.integer(7), ber.null(0x42), ber.sequence(*[ber.sequence(ber.text("1.2"))] * 100, tag=0xA0)),
        b"\x30\x84\x7f\xff\xff\xff",
        b"\x30\x80",
        b"GET / HTTP/1.1\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01",
        ber.sequence(ber.integer(0), ber.null(0x42)),
        ber.sequence(ber.integer(7)),
        ber.sequence(ber.integer(7), ber.element(0x7F, b"")),
    ],
    ids=["depth", "terms", "attributes", "controls", "length", "indefinite", "http", "tls", "id", "empty", "unknown"],
)
async def test_bombs_end_the_connection_quickly(client, data):
    begun = time.thread_time()
    client.stream.to_server.put_nowait(data)
    assert (await disconnected(client)).result.code == Code.PROTOCOL_ERROR
    assert time.thread_time() - begun < 0.5


async def test_large_filters_and_many_asterisks_are_refused_without_ending_anything(client):
    many = filters.Or(tuple(filters.Compare("cn", "=", b"x%d" % n) for n in range(300)))
    _, data = client.request(op.SearchRequest(BASE, filter=many))
    client.stream.to_server.put_nowait(data)
    assert (await client.answer()).operation.result.code == Code.ADMIN_LIMIT_EXCEEDED
    stars = "(cn=" + "*a" * 30 + "*)"
    assert (await client.find(stars))[0].code == Code.ADMIN_LIMIT_EXCEEDED
    assert await client.who("(cn=" + "a" * 5000 + ")") == []
    assert await client.who("(cn=%_*)") == []


async def test_a_message_may_be_larger_once_signed_in(connect):
    client = connect()
    client.stream.to_server.put_nowait(raw_search(ber.text("cn", 0x87), ber.text("x" * 20_000)))
    assert (await disconnected(client)).result.code == Code.PROTOCOL_ERROR
    client = connect()
    await client.sign_in()
    assert (await client.find("(cn=ann*)", attributes=("x" * 20_000,)))[0].ok


async def test_half_open_connections_end(connect):
    client = connect(login_timeout_s=0.1)
    assert (await disconnected(client)).result.code == Code.UNAVAILABLE


async def test_anonymous_requests_buy_no_time(connect):
    client = connect(login_timeout_s=0.2)
    begun = time.monotonic()
    with stopwatch() as took, pytest.raises((Disconnected, EOFError)):
        while time.monotonic() - begun < 60:
            await client.find(base="", scope=Scope.BASE)
            await asyncio.sleep(0.02)
    assert took.seconds < 2


async def test_a_request_that_drips_in_ends(connect):
    client = connect(message_timeout_s=0.2)
    await client.sign_in()
    whole = raw_search(ber.text("cn", 0x87))
    with stopwatch() as took:
        for octet in whole[:30]:
            client.stream.to_server.put_nowait(bytes((octet,)))
            await asyncio.sleep(0.02)
    assert client.stream.closed
    assert took.seconds < 2


async def test_a_cookie_of_somebody_else_opens_nothing(client):
    for cookie in (b"x", b"[1]", b'[false,"a",1,2]', b'{"a":1}', b"-5", b"999999999999999999999999"):
        result, _, _ = await client.find("(mail=*)", given=(controls.paged(2, cookie),))
        assert result.code in {Code.PROTOCOL_ERROR, Code.SUCCESS}
    result, entries, _ = await client.find("(mail=*)", given=(controls.paged(9, b'[false,"agent",1]'),))
    assert all(b"secret" not in entry.attributes["mail"][0] for entry in entries)


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=200))
def test_any_octets_give_a_message_or_a_violation(data):
    session = ServerSession()
    session.receive(ber.sequence(ber.integer(1), data))
    try:
        while (message := session.next_message()) is not None:
            messages.encode(message)
    except ProtocolViolation:
        pass


async def test_outlook_finds_autodiscover_beneath_the_configuration(connect):
    url = "https://mail.example.org/autodiscover/autodiscover.xml"
    client = connect(autodiscover=url)
    _, (root,), _ = await client.find(base="", scope=Scope.BASE, attributes=("configurationNamingContext",))
    (configuration,) = (value.decode() for value in root.attributes["configurationNamingContext"])
    assert configuration == f"CN=Configuration,{BASE}"
    result, entries, _ = await client.find(scp.FILTER, configuration)
    assert (result.code, entries) == (Code.INSUFFICIENT_ACCESS_RIGHTS, [])
    assert (await client.sign_in()).ok
    for base in (configuration, configuration.lower(), f"CN=Postern,CN=Services,{configuration}"):
        result, (found,), _ = await client.find(scp.FILTER, base)
        assert result.ok
        assert found.attributes["serviceBindingInformation"] == (url.encode(),)
    _, entries, _ = await client.find("(objectClass=*)", configuration, Scope.ONE_LEVEL, attributes=("cn",))
    assert [entry.attributes for entry in entries] == [{"cn": (b"Services",)}]
    result, entries, _ = await client.find("(objectClass=*)", f"CN=Nobody,{configuration}")
    assert (result.code, entries) == (Code.NO_SUCH_OBJECT, [])
    other = connect()
    assert (await other.sign_in()).ok
    result, _, _ = await other.find(scp.FILTER, configuration)
    assert result.code == Code.NO_SUCH_OBJECT

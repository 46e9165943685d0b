"""SASL exchanges: the RFC's own vectors, every way to fail, and both sides against each other."""

from __future__ import annotations

from binascii import a2b_base64
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postern.model.refusal import ProtocolViolation
from postern.protocols.sasl import client, encoding, scram, server
from postern.protocols.sasl.server import Challenge, ChannelBinding, Done, Exchange, Failed, NeedScram, Verify


class Credentials(NamedTuple):
    salt: bytes
    iterations: int
    stored_key: bytes
    server_key: bytes
    alternatives: tuple[tuple[bytes, bytes], ...] = ()


class FixedEntropy:
    def token(self, size_bytes: int) -> bytes:
        return bytes(range(size_bytes))

    def below(self, limit: int) -> int:
        return 0


def credentials(password: str, salt: bytes = b"salt" * 4, iterations: int = 8) -> Credentials:
    return Credentials(salt, iterations, *scram.derive(password, salt, iterations))


def begin(mechanism: str, binding: ChannelBinding | None = None) -> Exchange:
    exchange = server.start(mechanism, binding, FixedEntropy())
    assert exchange is not None
    return exchange


def test_plain_with_and_without_initial_response() -> None:
    assert begin("PLAIN").step(b"\0ann\0secret") == Verify("ann", "", "secret")
    exchange = begin("plain")
    assert exchange.step(None) == Challenge(b"")
    assert exchange.step("boss\0ann\0пароль".encode()) == Verify("ann", "boss", "пароль")


@pytest.mark.parametrize(
    "response",
    [b"", b"ann\0secret", b"a\0b\0c\0d", b"\0\0secret", b"\0ann\0", b"\0ann\0\xff", b"\0" + b"a" * 2000 + b"\0b"],
)
def test_plain_malformed(response: bytes) -> None:
    outcome = begin("PLAIN").step(response)
    assert isinstance(outcome, Failed)
    assert outcome.malformed


def test_login_with_and_without_initial_response() -> None:
    exchange = begin("LOGIN")
    assert exchange.step(None) == Challenge(b"Username:")
    assert exchange.step(b"ann") == Challenge(b"Password:")
    assert exchange.step(b"secret") == Verify("ann", "", "secret")
    exchange = begin("LOGIN")
    assert exchange.step(b"ann") == Challenge(b"Password:")
    assert exchange.step(b"secret") == Verify("ann", "", "secret")


def test_scram_vector_of_rfc_7677() -> None:
    salt = a2b_base64("W22ZaJ0SNY7soEsUEjb6gQ==")
    exchange = Exchange(scram.server(b"%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0", None, plus=False))
    assert exchange.step(b"n,,n=user,r=rOprNGfwEbeRWgbNEkqO") == NeedScram("user", "")
    assert exchange.resume(credentials("pencil", salt, 4096)) == Challenge(
        b"r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"
    )
    final = (
        b"c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="
    )
    assert exchange.step(final) == Done("user", "", b"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=")


BINDING = ChannelBinding(server_end_point=b"certificate hash")


@given(user=st.text(min_size=1, max_size=20).filter(lambda s: "\0" not in s), password=st.text(max_size=20))
def test_scram_both_sides_agree(user: str, password: str) -> None:
    exchange = begin("SCRAM-SHA-256")
    peer = scram.client(user, password, b"abc")
    assert exchange.step(next(peer)) == NeedScram(user, "")
    challenge = exchange.resume(credentials(password))
    assert isinstance(challenge, Challenge)
    done = exchange.step(peer.send(challenge.data))
    assert isinstance(done, Done)
    with pytest.raises(StopIteration) as stop:
        peer.send(done.server_final)
    assert stop.value.value is True


def run_scram(
    mechanism: str, binding: ChannelBinding | None, offered: tuple[str, bytes] | None, password: str
) -> object:
    exchange = begin(mechanism, binding)
    peer = scram.client("ann", password, b"abc", offered)
    outcome = exchange.step(next(peer))
    if isinstance(outcome, NeedScram):
        outcome = exchange.resume(credentials("secret"))
        assert isinstance(outcome, Challenge)
        outcome = exchange.step(peer.send(outcome.data))
    return outcome


def test_scram_plus_binds() -> None:
    endpoint = ("tls-server-end-point", b"certificate hash")
    assert isinstance(run_scram("SCRAM-SHA-256-PLUS", BINDING, endpoint, "secret"), Done)
    exporter = ChannelBinding(exporter=b"exported")
    assert isinstance(run_scram("SCRAM-SHA-256-PLUS", exporter, ("tls-exporter", b"exported"), "secret"), Done)


@pytest.mark.parametrize(
    ("mechanism", "binding", "offered", "password"),
    [
        ("SCRAM-SHA-256", None, None, "wrong"),
        ("SCRAM-SHA-256-PLUS", BINDING, ("tls-server-end-point", b"somebody else"), "secret"),
        ("SCRAM-SHA-256-PLUS", BINDING, ("tls-exporter", b""), "secret"),
        ("SCRAM-SHA-256-PLUS", BINDING, ("tls-unique", b"x"), "secret"),
        ("SCRAM-SHA-256-PLUS", BINDING, None, "secret"),
        ("SCRAM-SHA-256", BINDING, ("tls-server-end-point", b"certificate hash"), "secret"),
    ],
)
def test_scram_refuses(mechanism: str, binding: ChannelBinding, offered: tuple[str, bytes], password: str) -> None:
    assert isinstance(run_scram(mechanism, binding, offered, password), Failed)


def test_scram_notices_stripped_plus() -> None:
    outcome = begin("SCRAM-SHA-256", BINDING).step(b"y,,n=ann,r=abc")
    assert isinstance(outcome, Failed)
    assert begin("SCRAM-SHA-256").step(b"y,,n=ann,r=abc") == NeedScram("ann", "")


def test_scram_wrong_proof_names_the_account() -> None:
    outcome = run_scram("SCRAM-SHA-256", None, None, "wrong")
    assert isinstance(outcome, Failed)
    assert outcome.authcid == "ann"
    assert not outcome.malformed


@pytest.mark.parametrize(
    "first",
    [
        b"",
        b"n,,n=a=2cb,r=x",
        b"n,,m=ext,n=a,r=x",
        b"n,,n=a",
        b"n,,n=\xff,r=x",
        b"n,,n=,r=x",
        b"q,,n=a,r=x",
        b"x" * 9999,
    ],
)
def test_scram_malformed_first(first: bytes) -> None:
    outcome = begin("SCRAM-SHA-256").step(first)
    assert isinstance(outcome, Failed)
    assert outcome.malformed


OWN = sorted(name for name, mechanism in server.MECHANISMS.items() if not mechanism.tokens)
"""Those whose exchange is carried out here; tokens of the others are read elsewhere."""


@given(st.sampled_from(OWN), st.lists(st.binary(max_size=60), min_size=1, max_size=3))
def test_junk_never_authenticates_nor_raises(mechanism: str, responses: list[bytes]) -> None:
    exchange = begin(mechanism, BINDING)
    outcome: object = None
    for response in responses:
        outcome = exchange.step(response)
        if isinstance(outcome, NeedScram):
            outcome = exchange.resume(credentials("secret"))
        if not isinstance(outcome, Challenge):
            break
    assert not isinstance(outcome, Done)


def test_offered_depends_on_tls() -> None:
    everything = tuple(server.MECHANISMS)
    assert server.offered(everything, clear_text=False, binding=None) == ("SCRAM-SHA-256",)
    assert server.offered(everything, clear_text=True, binding=BINDING, certificate=True) == everything
    assert server.offered(everything, clear_text=True, binding=BINDING) == tuple(
        name for name in everything if name != "EXTERNAL"
    )
    for name in set(everything) - set(OWN):
        assert server.start(name, BINDING, FixedEntropy()) is None
    assert server.start("CRAM-MD5", None, FixedEntropy()) is None
    assert server.start("SCRAM-SHA-256-PLUS", None, FixedEntropy()) is None


@pytest.mark.parametrize("text", [b"a", b"ab=c", b"a b=", b"YQ", b"YQ==YQ==", b"\xff==="])
def test_bad_base64(text: bytes) -> None:
    with pytest.raises(ProtocolViolation):
        encoding.decode(text)


@given(st.binary())
def test_base64_round_trip(data: bytes) -> None:
    assert encoding.decode(encoding.encode(data)) == data
    assert encoding.decode_initial(b"=") == b""


@pytest.mark.parametrize("mechanism", ["SCRAM-SHA-256", "PLAIN", "LOGIN"])
def test_client_and_server(mechanism: str) -> None:
    sender = client.start("ann", "secret", [mechanism], FixedEntropy())
    assert sender is not None
    exchange = begin(mechanism)
    outcome = exchange.step(sender.initial)
    while True:
        if isinstance(outcome, NeedScram):
            outcome = exchange.resume(credentials("secret"))
        if not isinstance(outcome, Challenge):
            break
        response = sender.step(outcome.data)
        assert response is not None
        outcome = exchange.step(response)
    if isinstance(outcome, Done):
        assert sender.step(outcome.server_final) == b""
    else:
        assert outcome == Verify("ann", "", "secret")
    assert sender.verified


def test_client_refuses_server_without_proof() -> None:
    sender = client.start("ann", "secret", ["SCRAM-SHA-256"], FixedEntropy())
    assert sender is not None
    assert sender.step(b"r=other,s=c2FsdA==,i=8") is None
    assert not sender.verified
    assert client.start("ann", "secret", ["GSSAPI"], FixedEntropy()) is None

"""The client's session, driven without a socket."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postern.formats import ber
from postern.model.refusal import ProtocolViolation
from postern.protocols.ldap import controls, messages
from postern.protocols.ldap import operations as op
from postern.protocols.ldap.client import ClientSession, Disconnected
from postern.protocols.ldap.results import Result
from postern.protocols.sasl.client import ClientExchange


def drive(session, operation, *answers, step=None):
    """Run an operation against a server that answers each request it is sent with the next of `answers`."""
    sent, waiting = [], list(answers)
    try:
        data = next(operation)
        while True:
            if data:
                request = messages.decode(data)
                sent.append(request)
                wire = b"".join(
                    messages.encode(a if isinstance(a, op.Message) else op.Message(request.id, a))
                    for a in waiting.pop(0)
                )
                size = step or len(wire) or 1
                for start in range(0, len(wire), size):
                    session.receive(wire[start : start + size])
            answer = session.next_message()
            assert answer is not None, "the server has no more to say"
            data = operation.send(answer)
    except StopIteration as stop:
        return stop.value, sent


ENTRY = op.SearchEntry("cn=x", {"cn": (b"x",)})
OK = op.SearchDone(Result())


@given(st.integers(1, 50))
def test_a_search_collects_entries_and_references_however_they_come(step):
    session = ClientSession()
    found, sent = drive(
        session,
        session.search(op.SearchRequest("dc=x"), controls.paged(2)),
        [ENTRY, op.SearchReference(("ldap://b/",)), op.Unknown(0x79, b""), ENTRY,
         op.Message(1, OK, (controls.paged(0, b"more"),))],
        step=step,
    )  # fmt: skip
    assert found.entries == (ENTRY, ENTRY)
    assert found.references == ("ldap://b/",)
    assert found.cookie == b"more"
    assert sent[0].controls == (controls.paged(2),)


def test_bind_and_a_search_use_different_ids():
    session = ClientSession()
    result, first = drive(session, session.bind("cn=a", b"secret"), [op.BindResponse(Result(49))])
    assert (result.code, result.ok) == (49, False)
    _, second = drive(session, session.search(op.SearchRequest()), [OK])
    assert (first[0].id, second[0].id) == (1, 2)
    assert first[0].operation == op.BindRequest("cn=a", b"secret")


def test_unauthenticated_bind_a_name_without_password_is_never_sent():
    with pytest.raises(ValueError):
        next(ClientSession().bind("cn=anna", b""))


def test_answers_of_an_abandoned_search_are_passed_over():
    session = ClientSession()
    number, _ = session.request(op.SearchRequest())
    assert messages.decode(session.abandon(number)).operation == op.AbandonRequest(number)
    session.receive(messages.encode(op.Message(number, ENTRY)))
    found, _ = drive(session, session.search(op.SearchRequest()), [op.Message(number, ENTRY), OK])
    assert found.entries == ()


def test_starttls_response_injection_what_came_before_tls_is_dropped():
    session = ClientSession()
    result, _ = drive(session, session.starttls(), [op.ExtendedResponse(Result(), controls.STARTTLS)])
    assert result.ok
    session.receive(messages.encode(op.Message(2, ENTRY)))
    session.tls_started()
    assert session.next_message() is None
    assert session.tls


def test_notice_of_disconnection():
    session = ClientSession()
    session.request(op.SearchRequest())
    notice = op.ExtendedResponse(Result(52, "", "going down"), controls.NOTICE_OF_DISCONNECTION)
    session.receive(messages.encode(op.Message(0, notice)))
    with pytest.raises(Disconnected, match="going down"):
        session.next_message()


@pytest.mark.parametrize(
    "wire",
    [
        b"220 mail.example.org ESMTP\r\n",
        b"\x30\x84\x7f\xff\xff\xff",
        b"\x30\x80",
        messages.encode(op.Message(99, ENTRY)),
        messages.encode(op.Message(1, OK))[:-1] + b"\xff\xff",
        ber.sequence(ber.integer(1), ber.octets(b"", 0x64)),
    ],
)
def test_a_server_that_speaks_something_else(wire):
    session = ClientSession(limit_bytes=1000)
    session.request(op.SearchRequest())
    with pytest.raises(ProtocolViolation):
        for at in range(len(wire)):
            session.receive(wire[at : at + 1])
            session.next_message()


def test_an_answer_of_another_kind():
    for operation, answer in (
        (lambda s: s.bind(), OK),
        (lambda s: s.starttls(), OK),
        (lambda s: s.search(op.SearchRequest()), op.BindResponse(Result())),
        (lambda s: s.change(op.DeleteRequest("cn=x")), OK),
    ):
        session = ClientSession()
        with pytest.raises(ProtocolViolation):
            drive(session, operation(session), [answer])


def sasl():
    yield b"one"
    yield b"two"
    return True


def test_sasl_bind_in_several_steps():
    session = ClientSession()
    exchange = ClientExchange("SCRAM-SHA-256", sasl(), initial=True)
    result, sent = drive(
        session,
        session.authenticate(exchange),
        [op.BindResponse(Result(14), b"challenge")],
        [op.BindResponse(Result(0), b"proof")],
    )
    assert result.ok
    assert [m.operation.credentials for m in sent] == [b"one", b"two"]


def test_a_server_that_does_not_prove_itself_is_not_believed():
    session = ClientSession()
    exchange = ClientExchange("SCRAM-SHA-256", sasl(), initial=True)
    result, _ = drive(session, session.authenticate(exchange), [op.BindResponse(Result(0))])
    assert result.code == 49


def test_changes():
    session = ClientSession()
    result, sent = drive(
        session,
        session.change(op.ModifyRequest("cn=x", ((op.Change.REPLACE, "mail", (b"a",)),))),
        [op.Done(op.MODIFY_RESPONSE, Result(50, "", "no"))],
    )
    assert result.name == "insufficientAccessRights"
    assert sent[0].operation.dn == "cn=x"
    assert messages.decode(session.unbind()).operation == op.UnbindRequest()

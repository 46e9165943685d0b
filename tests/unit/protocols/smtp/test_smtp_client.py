"""The SMTP client session, alone and against the server session."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from postern.model.envelope import Envelope, Recipient
from postern.model.refusal import ProtocolViolation
from postern.protocols.smtp import parameters, reply
from postern.protocols.smtp.client import ClientSession, Extensions, RemoteReply
from postern.protocols.smtp.commands import Closed, Mail, Message, Rcpt
from postern.protocols.smtp.dialogue import Limits
from postern.protocols.smtp.extensions import Capabilities
from postern.protocols.smtp.reply import Reply
from postern.protocols.smtp.server import ServerSession


class Pair:
    """A client joined to a server; recipients starting with `no` are refused."""

    def __init__(self) -> None:
        self.server = ServerSession(Capabilities("mx", 100_000, 100), Limits())
        self.client = ClientSession("client.example")
        self.messages: list[Message] = []
        self.sent: list[bytes] = []
        self.final = Reply(250, "2.6.0", "queued")
        self.server.greet(Reply(220, "", "mx ESMTP"))

    def run(self, operation: Generator[bytes, RemoteReply, Any]) -> Any:
        try:
            data = next(operation)
            while True:
                if data:
                    self.sent.append(data)
                    self.server.receive(data)
                while (answer := self.client.next_reply()) is None:
                    self.serve()
                    out = self.server.output()
                    assert out, "deadlock"
                    self.client.receive(out)
                data = operation.send(answer)
        except StopIteration as stop:
            return stop.value

    def serve(self) -> None:
        while (event := self.server.next_event()) is not None and not isinstance(event, Closed):
            match event:
                case Mail(address):
                    self.server.reply(Reply(550, "5.7.1", "no") if address.startswith("bad") else reply.SENDER_OK)
                case Rcpt(recipient):
                    refused = recipient.address.startswith("no")
                    self.server.reply(Reply(550, "5.1.1", "no such user") if refused else reply.RECIPIENT_OK)
                case Message():
                    self.messages.append(event)
                    self.server.reply(self.final)

    def connect(self) -> None:
        assert self.run(self.client.greeting()).code == 220
        assert self.run(self.client.hello()).positive


def envelope(*addresses: str, body: str = "7BIT", sender: str = "a@x.example") -> Envelope:
    return Envelope(sender, tuple(Recipient(a, "FAILURE", "rfc822;a=b@y") for a in addresses), body, envid="i d")


@pytest.mark.parametrize("pipelining", [True, False])
@pytest.mark.parametrize("body", ["7BIT", "BINARYMIME"])
def test_recipients_get_their_own_results(pipelining: bool, body: str) -> None:
    pair = Pair()
    pair.connect()
    if not pipelining:
        del pair.client.extensions.keywords["PIPELINING"]
    content = b".a\r\n..\r\n" if body == "7BIT" else b"\0\n.\r\n.\r\n"
    results = pair.run(pair.client.transfer(envelope("ok@y", "no@y", "yes@y", body=body), content))
    assert [(r.recipient.address, r.reply.code, r.reply.enhanced) for r in results] == [
        ("ok@y", 250, "2.6.0"),
        ("no@y", 550, "5.1.1"),
        ("yes@y", 250, "2.6.0"),
    ]
    (message,) = pair.messages
    assert message.content == content
    assert message.envelope.envid == "i d"
    assert message.envelope.recipients[0] == Recipient("ok@y", "FAILURE", "rfc822;a=b@y")
    assert pair.run(pair.client.quit()).code == 221


def test_pipelining_sends_the_envelope_in_one_write() -> None:
    pair = Pair()
    pair.connect()
    pair.sent.clear()
    pair.run(pair.client.transfer(envelope("ok@y", "yes@y"), b"x\r\n"))
    assert len(pair.sent) == 2
    assert pair.sent[0].count(b"\r\n") == 4


@pytest.mark.parametrize("pipelining", [True, False])
@pytest.mark.parametrize("case", [("bad@x", ("ok@y",), 550), ("a@x", ("no1@y", "no2@y"), 550)])
def test_nothing_sent_when_all_is_refused(pipelining: bool, case: tuple[str, tuple[str, ...], int]) -> None:
    pair = Pair()
    pair.connect()
    if not pipelining:
        del pair.client.extensions.keywords["PIPELINING"]
    sender, recipients, code = case
    results = pair.run(pair.client.transfer(envelope(*recipients, sender=sender), b"x\r\n"))
    assert [r.reply.code for r in results] == [code] * len(recipients)
    assert not pair.messages
    assert pair.run(pair.client.reset()).positive
    assert pair.run(pair.client.transfer(envelope("ok@y"), b"x\r\n"))[0].accepted


def test_refusal_of_the_message_goes_to_accepted_recipients() -> None:
    pair = Pair()
    pair.final = Reply(452, "4.3.1", "disk full")
    pair.connect()
    results = pair.run(pair.client.transfer(envelope("ok@y", "no@y"), b"x\r\n"))
    assert [(r.reply.code, r.accepted) for r in results] == [(452, False), (550, False)]


def test_lone_dot_when_a_server_wants_content_for_nobody() -> None:
    client = ClientSession("c")
    sent = []
    for operation, answers in (
        (client.greeting(), b"220 x\r\n"),
        (client.hello(), b"250-x\r\n250 PIPELINING\r\n"),
        (client.transfer(envelope("b@y"), b"x\r\n"), b"250 ok\r\n550 no\r\n354 go\r\n554 nobody\r\n"),
    ):
        sent.append(next(operation))
        client.receive(answers)
        with pytest.raises(StopIteration) as stop:
            while True:
                answer = client.next_reply()
                assert answer is not None
                sent.append(operation.send(answer))
    assert sent[-1] == b".\r\n"
    assert stop.value.value[0].reply.code == 550


def test_reply_parsing() -> None:
    client = ClientSession("c")
    for byte in b"250-2.1.0 one\r\n250-2.1.0 two\r\n250 2.1.0 three\r\n":
        client.receive(bytes([byte]))
    assert client.next_reply() == RemoteReply(250, "2.1.0", ("one", "two", "three"))
    client.receive(b"550 4.1.1 odd class\r\n250\r\n")
    assert client.next_reply() == RemoteReply(550, "", ("4.1.1 odd class",))
    assert client.next_reply() == RemoteReply(250, "", ("",))


@pytest.mark.parametrize(
    "junk", [b"HTTP/1.1 400\r\n", b"250-a\r\n251 b\r\n", b"250-x\r\n" * 200, b"250 x\n", b"x" * 9999 + b"\r\n"]
)
def test_not_smtp(junk: bytes) -> None:
    client = ClientSession("c")
    client.receive(junk)
    with pytest.raises(ProtocolViolation):
        client.next_reply()


def test_extensions() -> None:
    client = ClientSession("c")
    operation = client.hello()
    next(operation)
    with pytest.raises(StopIteration):
        operation.send(RemoteReply(250, "", ("mx", "size 1000", "AUTH PLAIN LOGIN", "LIMITS RCPTMAX=20 MAILMAX=x", "")))
    assert client.extensions.size_limit_bytes == 1000
    assert client.extensions.mechanisms == ("PLAIN", "LOGIN")
    assert client.extensions.limit("RCPTMAX") == 20
    assert client.extensions.limit("MAILMAX") is None
    assert "PIPELINING" not in client.extensions


@pytest.mark.parametrize("size", ["0", "x", "-1", "²", "9" * 21, "9" * 5000, ""])
def test_a_size_that_is_no_number_is_no_limit(size: str) -> None:
    assert Extensions({"SIZE": (size,), "LIMITS": (f"RCPTMAX={size}",)}).size_limit_bytes is None
    assert Extensions({"SIZE": (), "LIMITS": (f"RCPTMAX={size}",)}).limit("RCPTMAX") is None


def test_helo_fallback_and_response_injection() -> None:
    client = ClientSession("c")
    operation = client.hello()
    next(operation)
    assert operation.send(RemoteReply(502, "", ("what?",))) == b"HELO c\r\n"
    client.receive(b"220 go\r\n250 injected\r\n")
    assert client.next_reply() == RemoteReply(220, "", ("go",))
    client.tls_started()
    assert client.next_reply() is None


def test_addresses_cannot_carry_commands() -> None:
    pair = Pair()
    pair.connect()
    with pytest.raises(ProtocolViolation):
        pair.run(pair.client.transfer(envelope("b@y>\r\nRCPT TO:<c@y"), b"x\r\n"))


@given(st.text(st.characters(min_codepoint=32, max_codepoint=126)))
def test_xtext_round_trip(text: str) -> None:
    assert parameters.decode_xtext(parameters.encode_xtext(text)) == text


@given(st.text(st.characters(exclude_categories=["C", "Z"]), min_size=1, max_size=20), st.booleans())
@settings(deadline=None)  # a busy machine may take a quarter of a second for one of them
def test_original_recipient_round_trip(address: str, utf8: bool) -> None:
    encoded = parameters.encode_original_recipient(f"utf-8;{address}", utf8=utf8)
    assert utf8 or encoded.isascii()
    assert parameters.decode_original_recipient(encoded) == f"utf-8;{address}"

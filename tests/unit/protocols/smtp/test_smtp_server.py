"""The SMTP server session: dialogues, smuggling, injection, limits, and that chunking changes nothing."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from postern.protocols.sasl import encoding
from postern.protocols.smtp import reply
from postern.protocols.smtp.commands import Auth, AuthResponse, Closed, Event, Mail, Message, Rcpt, StartTls
from postern.protocols.smtp.dialogue import Limits
from postern.protocols.smtp.extensions import Capabilities
from postern.protocols.smtp.reply import Reply
from postern.protocols.smtp.server import ServerSession

PLAIN = Capabilities(
    "mx.example.org", 10_000, 5, starttls=True, mechanisms=("SCRAM-SHA-256",), mechanisms_after_tls=("PLAIN",)
)
TLS = Capabilities("mx.example.org", 10_000, 5, mechanisms=("PLAIN", "LOGIN"))
LIMITS = Limits()


class Driver:
    """Accepts everything, except recipients whose address starts with `no` and senders that start with `bad`."""

    def __init__(self, capabilities: Capabilities = PLAIN, limits: Limits = LIMITS, *, tls: bool = False) -> None:
        self.session = ServerSession(capabilities, limits, tls=tls)
        self.events: list[Event] = []
        self.output = b""

    def feed(self, data: bytes, *, hello: bool = False) -> str:
        if hello:
            self.feed(b"EHLO client.example\r\n")
        self.session.receive(data)
        while (event := self.session.next_event()) is not None:
            self.events.append(event)
            if isinstance(event, Closed):
                break
            self.answer(event)
        out = self.session.output()
        self.output += out
        return out.decode()

    def answer(self, event: Event) -> None:
        match event:
            case Mail(address):
                ok = not address.startswith("bad")
                self.session.reply(reply.SENDER_OK if ok else Reply(550, "5.7.1", "no"))
            case Rcpt(recipient):
                ok = not recipient.address.startswith("no")
                self.session.reply(reply.RECIPIENT_OK if ok else Reply(550, "5.1.1", "no"))
            case Message():
                self.session.reply(Reply(250, "2.6.0", "queued"))
            case StartTls():
                self.session.tls_started(TLS)
            case Auth():
                self.session.challenge(b"more")
            case AuthResponse(data):
                self.session.reply(Reply(235, "2.7.0", "in") if data == b"good" else Reply(535, "5.7.8", "out"))

    def codes(self, data: bytes, *, hello: bool = False) -> list[str]:
        return [line[:3] for line in self.feed(data, hello=hello).splitlines() if line[3:4] != "-"]

    @property
    def messages(self) -> list[Message]:
        return [e for e in self.events if isinstance(e, Message)]


ENVELOPE = b"MAIL FROM:<a@x.example>\r\nRCPT TO:<b@y.example>\r\n"


def test_whole_dialogue_pipelined_in_one_read() -> None:
    driver = Driver()
    out = driver.feed(b"EHLO c\r\n" + ENVELOPE + b"DATA\r\nSubject: x\r\n\r\n..dot\r\n.\r\nQUIT\r\n")
    assert [line[:3] for line in out.splitlines() if line[3] == " "] == ["250", "250", "250", "354", "250", "221"]
    (message,) = driver.messages
    assert message.content == b"Subject: x\r\n\r\n.dot\r\n"
    assert message.envelope.reverse_path == "a@x.example"
    assert [r.address for r in message.envelope.recipients] == ["b@y.example"]
    assert driver.events[-1] == Closed("quit")


def test_ehlo_announces_what_is_possible() -> None:
    out = Driver().feed(b"EHLO c\r\n")
    for line in ("PIPELINING", "SIZE 10000", "8BITMIME", "SMTPUTF8", "CHUNKING", "BINARYMIME", "DSN", "STARTTLS"):
        assert f"250-{line}\r\n" in out
    assert "250-ENHANCEDSTATUSCODES\r\n250-8BITMIME" in out
    assert "250-AUTH SCRAM-SHA-256\r\n" in out
    assert "250 LIMITS RCPTMAX=5\r\n" in out
    assert Driver().feed(b"HELO c\r\n") == "250 mx.example.org\r\n"


@pytest.mark.parametrize(
    ("smuggled", "refused"),
    [
        (b"\n.\n", True),
        (b"\n.\r\n", True),
        (b"\r\n.\n", True),
        (b"\r.\r", True),
        (b"\r\n.\r", True),
        (b"\r.\r\n", True),
        (b"\n\r.\n\r", True),
        (b"\r\r\n.\r\n", True),
        (b"\0\r\n.\r\n", True),
    ],
)
def test_smuggling(smuggled: bytes, refused: bool) -> None:
    """Only CRLF.CRLF ends a message; whatever else another server might take for the end never starts a second one."""
    driver = Driver()
    hidden = b"MAIL FROM:<ceo@y.example>\r\nRCPT TO:<b@y.example>\r\nDATA\r\nSubject: forged\r\n\r\nforged"
    driver.feed(ENVELOPE + b"DATA\r\nSubject: harmless\r\n\r\nbody" + smuggled, hello=True)
    driver.feed(hidden + b"\r\n.\r\n")
    assert not any(b"harmless" in m.content for m in driver.messages)
    if not smuggled.endswith(b"\r\n.\r\n"):
        assert not driver.messages
        assert "550 5.5.2" in driver.output.decode()
        assert sum(isinstance(e, Mail) for e in driver.events) == 1


def test_bare_newlines_can_be_fixed() -> None:
    driver = Driver(limits=Limits(bare_newlines="fix"))
    driver.feed(ENVELOPE + b"DATA\r\na\nb\rc\r\n.\r\n", hello=True)
    assert driver.messages[0].content == b"a\r\nb\r\nc\r\n"


def test_starttls_injection() -> None:
    """CVE-2011-0411: commands that came in one packet with STARTTLS are not executed after the handshake."""
    driver = Driver()
    out = driver.feed(b"EHLO c\r\nSTARTTLS\r\nEHLO evil\r\nMAIL FROM:<evil@x.example>\r\n")
    assert out.endswith("220 2.0.0 Ready to start TLS\r\n")
    (event,) = driver.events
    assert isinstance(event, StartTls)
    assert event.dropped == len(b"EHLO evil\r\nMAIL FROM:<evil@x.example>\r\n")
    assert driver.session.helo == ""
    assert driver.codes(b"MAIL FROM:<a@x.example>\r\n") == ["503"]


def test_starttls_forgets_the_transaction_and_the_name() -> None:
    driver = Driver()
    driver.feed(ENVELOPE + b"STARTTLS\r\n", hello=True)
    assert driver.codes(b"RCPT TO:<c@y.example>\r\nDATA\r\n") == ["503", "503"]
    out = driver.feed(b"EHLO c\r\n")
    assert "STARTTLS" not in out
    assert "AUTH PLAIN LOGIN" in out
    assert driver.codes(b"STARTTLS\r\n") == ["502"]


def test_order() -> None:
    driver = Driver()
    assert driver.codes(b"MAIL FROM:<a@x.example>\r\nRCPT TO:<b@y.example>\r\nDATA\r\n") == ["503", "503", "503"]
    assert driver.codes(b"RCPT TO:<b@y.example>\r\nDATA\r\nSTARTTLS x\r\n", hello=True) == ["503", "503", "501"]
    assert driver.codes(b"MAIL FROM:<a@x.example>\r\nMAIL FROM:<a@x.example>\r\nDATA\r\n") == ["250", "503", "554"]
    assert driver.codes(b"RCPT TO:<no@y.example>\r\nDATA\r\nRSET\r\nDATA\r\n") == ["550", "554", "250", "503"]
    assert driver.codes(b"VRFY a\r\nEXPN a\r\nHELP\r\nNOOP x\r\nXYZZY\r\n\r\n") == [
        "252",
        "502",
        "214",
        "250",
        "500",
        "500",
    ]


@pytest.mark.parametrize(
    ("line", "code"),
    [
        (b"MAIL FROM:<>", "250"),
        (b"mail from: <a@x.example>", "250"),
        (b"MAIL FROM:<a@x.example> SIZE=10000 BODY=8BITMIME RET=HDRS ENVID=a+2Bb", "250"),
        (b"MAIL FROM:<a@x.example> AUTH=<>", "250"),
        (b"MAIL FROM:<@r.example,@s.example:a@x.example>", "250"),
        (b'MAIL FROM:<"a b"@[192.0.2.1]>', "250"),
        (b"MAIL FROM:<a@[IPv6:2001:db8::1]>", "250"),
        ("MAIL FROM:<ü@bücher.example> SMTPUTF8".encode(), "250"),
        ("MAIL FROM:<ü@x.example>".encode(), "550"),
        (b"MAIL FROM:<\xff@x.example> SMTPUTF8", "500"),
        (b"MAIL FROM:a@x.example", "501"),
        (b"MAIL FROM:<a@x.example", "501"),
        (b"MAIL FROM:<a@>", "501"),
        (b"MAIL FROM:<a@[300.1.1.1]>", "501"),
        (b"MAIL FROM:<" + b"a" * 65 + b"@x.example>", "501"),
        (b"MAIL FROM:<a@" + b"b" * 64 + b">", "501"),
        (b"MAIL FROM:<a@" + b"b." * 126 + b"example>", "501"),
        (b"MAIL FROM:<a@x.example>SIZE=1", "501"),
        (b"MAIL FROM:<a@x.example> SIZE=", "501"),
        (b"MAIL FROM:<a@x.example> SIZE=x", "501"),
        (b"MAIL FROM:<a@x.example> SIZE=1 SIZE=1", "501"),
        (b"MAIL FROM:<a@x.example> SIZE=10001", "552"),
        (b"MAIL FROM:<a@x.example> BODY=9BIT", "501"),
        (b"MAIL FROM:<a@x.example> XFOO=1", "555"),
        (b"MAIL TO:<a@x.example>", "501"),
        (b"MAIL FROM:<a\0@x.example>", "501"),
        (b"MAIL FROM:<a@x.example> " + b"=" * 3000, "501"),
    ],
)
def test_mail(line: bytes, code: str) -> None:
    assert Driver().codes(line + b"\r\n", hello=True) == ["250", code][1:]


@pytest.mark.parametrize(
    ("line", "code"),
    [
        (b"RCPT TO:<postmaster>", "250"),
        (b"RCPT TO:<b@y.example> NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;b+2Bc@y.example", "250"),
        (b"RCPT TO:<b@y.example> NOTIFY=NEVER", "250"),
        (b"RCPT TO:<b@y.example> NOTIFY=NEVER,DELAY", "501"),
        (b"RCPT TO:<b@y.example> ORCPT=b@y.example", "501"),
        (b"RCPT TO:<b@y.example> ORCPT=rfc822;a+0D+0Ab", "501"),
        ("RCPT TO:<ü@y.example>".encode(), "553"),
        (b"RCPT TO:<>", "501"),
        (b"RCPT TO:<b@y.example> SIZE=1", "555"),
    ],
)
def test_rcpt(line: bytes, code: str) -> None:
    driver = Driver()
    driver.feed(b"MAIL FROM:<a@x.example>\r\n", hello=True)
    assert driver.codes(line + b"\r\n") == [code]


def test_values_reach_the_envelope() -> None:
    driver = Driver()
    driver.feed(
        b"EHLO c\r\nMAIL FROM:<a@x.example> RET=full ENVID=a+2Bb SMTPUTF8\r\n"
        b'RCPT TO:<"bob"@y.example> NOTIFY=delay,FAILURE ORCPT=utf-8;\\x{FC}@y.example\r\n'
        b"DATA\r\n\xc3\xbc\r\n.\r\n"
    )
    envelope = driver.messages[0].envelope
    assert (envelope.ret, envelope.envid, envelope.smtputf8, envelope.body) == ("FULL", "a+b", True, "8BITMIME")
    (recipient,) = envelope.recipients
    assert (recipient.address, recipient.notify) == ("bob@y.example", "DELAY,FAILURE")
    assert recipient.original == "utf-8;ü@y.example"


def test_helo_has_no_parameters() -> None:
    driver = Driver()
    assert driver.codes(b"HELO c\r\nMAIL FROM:<a@x.example> SIZE=1\r\n") == ["250", "555"]


def test_size_limit_in_data() -> None:
    driver = Driver()
    codes = driver.codes(ENVELOPE + b"DATA\r\n" + b"x" * 12_000 + b"\r\n.\r\nNOOP\r\n", hello=True)
    assert codes == ["250", "250", "354", "552", "250"]
    assert not driver.messages


@pytest.mark.parametrize("chunk", [1, 3, 4096, 20_000])
def test_exactly_the_limit_is_taken(chunk: int) -> None:
    for size, code in ((10_000, "250"), (10_001, "552")):
        driver = Driver()
        driver.feed(ENVELOPE + b"DATA\r\n", hello=True)
        data = b"x" * (size - 2) + b"\r\n.\r\n"
        out = [c for i in range(0, len(data), chunk) for c in driver.codes(data[i : i + chunk])]
        assert out == [code]
        assert [len(m.content) for m in driver.messages] == ([size] if code == "250" else [])


def test_endless_content_is_cut_off() -> None:
    driver = Driver()
    driver.feed(ENVELOPE + b"DATA\r\n", hello=True)
    for _ in range(100):
        driver.feed(b"x" * 4096)
    assert driver.events[-1] == Closed("size")
    assert driver.output.endswith(b"552 5.3.4 Message too big for this system\r\n")


def test_bdat() -> None:
    driver = Driver()
    mail = b"MAIL FROM:<a@x.example> BODY=BINARYMIME\r\nRCPT TO:<b@y.example>\r\n"
    codes = driver.codes(mail + b"BDAT 4\r\na\0\n\rBDAT 0\r\nBDAT 3 LAST\r\nxyzNOOP\r\n", hello=True)
    assert codes == ["250", "250", "250", "250", "250", "250"]
    assert driver.messages[0].content == b"a\0\n\rxyz"
    assert driver.messages[0].envelope.body == "BINARYMIME"


def test_bdat_out_of_order() -> None:
    driver = Driver()
    assert driver.codes(b"BDAT 6 LAST\r\nQUIT\r\nNOOP\r\n", hello=True) == ["503", "250"]
    assert driver.codes(b"MAIL FROM:<a@x.example>\r\nBDAT 6\r\nQUIT\r\nNOOP\r\n") == ["250", "554", "250"]
    assert driver.codes(b"RCPT TO:<b@y.example>\r\nBDAT 1 LAST\r\nx") == ["503", "554"]
    assert driver.codes(b"RSET\r\n" + ENVELOPE + b"BDAT 2\r\nabDATA\r\nRCPT TO:<c@y.example>\r\n") == [
        "250", "250", "250", "250", "503", "503",
    ]  # fmt: skip
    assert driver.codes(b"BDAT 2 LAST\r\n\r\n") == ["250"]
    assert driver.messages[0].content == b"ab\r\n"
    assert driver.codes(b"BDAT\r\nBDAT x\r\nBDAT -1\r\nBDAT 1 FIRST\r\n") == ["501"] * 4


def test_bdat_too_large() -> None:
    driver = Driver()
    codes = driver.codes(ENVELOPE + b"BDAT 9000\r\n" + b"x" * 9000 + b"BDAT 1001 LAST\r\n" + b"x" * 1001, hello=True)
    assert codes == ["250", "250", "250", "552"]
    assert driver.codes(b"NOOP\r\nBDAT 99999999999999999999\r\n") == ["250", "552"]
    assert driver.events[-1] == Closed("size")


def test_binary_needs_bdat_and_text_chunks_need_crlf() -> None:
    driver = Driver()
    assert (
        driver.codes(b"MAIL FROM:<a@x.example> BODY=BINARYMIME\r\nRCPT TO:<b@y.example>\r\nDATA\r\n", hello=True)[-1]
        == "503"
    )
    assert driver.codes(b"RSET\r\n" + ENVELOPE + b"BDAT 3 LAST\r\na\nb")[-1] == "550"


def test_recipient_limit_is_temporary_and_no_error() -> None:
    driver = Driver()
    rcpt = b"".join(b"RCPT TO:<u%d@y.example>\r\n" % n for n in range(30))
    assert driver.codes(b"MAIL FROM:<a@x.example>\r\n" + rcpt, hello=True) == ["250"] + ["250"] * 5 + ["452"] * 25
    assert driver.session.errors == 0


def test_error_limit() -> None:
    driver = Driver(limits=Limits(errors_max=3))
    assert driver.codes(b"X\r\n" * 10) == ["500"] * 4 + ["421"]
    assert driver.events == [Closed("errors")]


def test_command_limit_spares_recipients_and_messages() -> None:
    driver = Driver(limits=Limits(commands_max=10))
    one = ENVELOPE + b"DATA\r\nx\r\n.\r\n"
    assert driver.codes(one * 20, hello=True).count("250") == 60
    assert driver.codes(b"NOOP\r\n" * 20)[-1] == "421"


def test_message_limit() -> None:
    driver = Driver(Capabilities("mx", 1000, 5, messages_max=2))
    assert "LIMITS RCPTMAX=5 MAILMAX=2" in driver.feed(b"EHLO c\r\n")
    assert driver.codes((ENVELOPE + b"RSET\r\n") * 3)[-1] == "421"


def test_long_lines() -> None:
    driver = Driver()
    assert driver.codes(b"NOOP " + b"x" * 5000 + b"\r\nNOOP " + b"x" * 50_000 + b"\r\nNOOP\r\n") == [
        "500",
        "500",
        "250",
    ]
    assert driver.codes(b"NOOP\nNOOP\r\nNO\rOP\r\n") == ["500", "250", "500"]


def test_tls_required() -> None:
    driver = Driver(Capabilities("mx", 1000, 5, starttls=True, tls_required=True))
    assert driver.codes(ENVELOPE, hello=True) == ["530", "530"]
    driver.feed(b"STARTTLS\r\nEHLO c\r\n")
    driver.feed(b"EHLO c\r\n")
    assert driver.codes(ENVELOPE) == ["250", "250"]


def test_auth() -> None:
    driver = Driver()
    assert driver.codes(b"AUTH PLAIN\r\n") == ["503"]
    assert driver.codes(b"AUTH PLAIN AGEAYg==\r\nAUTH CRAM-MD5\r\nAUTH\r\nAUTH <\r\n", hello=True) == [
        "538",
        "504",
        "501",
        "501",
    ]
    driver = Driver(TLS, tls=True)
    driver.feed(b"EHLO c\r\n")
    assert driver.feed(b"AUTH PLAIN =\r\n") == "334 bW9yZQ==\r\n"
    assert driver.events[-1] == Auth("PLAIN", b"")
    assert driver.codes(b"Z29vZA==\r\n") == ["235"]
    assert driver.codes(b"AUTH PLAIN\r\n") == ["503"]
    assert "AUTH" not in driver.feed(b"EHLO c\r\n")


def test_auth_failures() -> None:
    driver = Driver(TLS, tls=True)
    driver.feed(b"EHLO c\r\n")
    assert driver.codes(b"AUTH LOGIN\r\n*\r\nNOOP\r\n") == ["334", "501", "250"]
    assert driver.codes(b"AUTH LOGIN\r\n!!\r\nNOOP\r\n") == ["334", "501", "250"]
    assert driver.codes(b"AUTH LOGIN\r\n" + b"A" * (encoding.RESPONSE_LIMIT_BYTES + 1) + b"\r\nNOOP\r\n") == [
        "334",
        "500",
        "250",
    ]
    assert driver.codes(b"AUTH LOGIN\r\nYmFk\r\nMAIL FROM:<a@x.example>\r\nAUTH LOGIN\r\n") == [
        "334",
        "535",
        "250",
        "503",
    ]
    assert not driver.session.authenticated


def test_auth_required() -> None:
    driver = Driver(Capabilities("mx", 1000, 5, mechanisms=("PLAIN",), auth_required=True), tls=True)
    mail = b"MAIL FROM:<a@x.example>\r\n"
    assert driver.codes(mail + b"AUTH PLAIN\r\nZ29vZA==\r\n" + mail, hello=True) == ["530", "334", "235", "250"]


PIECES = [
    b"EHLO c\r\n", b"HELO c\r\n", b"MAIL FROM:<a@x.example>\r\n", b"MAIL FROM:<bad@x.example> BODY=BINARYMIME\r\n",
    b"MAIL FROM:<a@x.example> BODY=BINARYMIME\r\n", b"RCPT TO:<b@y.example>\r\n", b"RCPT TO:<no@y.example>\r\n",
    b"DATA\r\n", b"Subject: x\r\n\r\n", b"..\r\n", b".\r\n", b"\r\n.\r\n", b"\n.\r\n", b"text\r", b"text\n",
    b"x" * 4500 + b"\r\n", b"x" * 13_000, b"BDAT 5\r\n12345", b"BDAT 3 LAST\r\n\r\n.", b"BDAT 0 LAST\r\n",
    b"BDAT 10001\r\n", b"RSET\r\n", b"NOOP\r\n", b"QUIT\r\n", b"\xff\r\n", b"\0", b"AUTH SCRAM-SHA-256\r\n",
    b"Z29vZA==\r\n", b"*\r\n",
]  # fmt: skip


@settings(max_examples=150, deadline=None)
@given(st.lists(st.sampled_from(PIECES), max_size=25), st.lists(st.integers(1, 700), min_size=1, max_size=20))
def test_chunking_changes_nothing(pieces: list[bytes], sizes: list[int]) -> None:
    data = b"".join(pieces)
    whole = Driver()
    whole.feed(data)
    chunked, position, turn = Driver(), 0, 0
    while position < len(data) and not (chunked.events and isinstance(chunked.events[-1], Closed)):
        size = sizes[turn % len(sizes)]
        chunked.feed(data[position : position + size])
        position += size
        turn += 1
    assert chunked.events == whole.events
    assert chunked.output == whole.output


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=300))
def test_any_content_arrives_as_sent_or_is_refused(body: bytes) -> None:
    from postern.protocols.smtp.client import stuff

    content = body if body.endswith(b"\r\n") or not body else body + b"\r\n"
    driver = Driver()
    driver.feed(ENVELOPE + b"DATA\r\n", hello=True)
    code = driver.codes(stuff(body))
    clean = b"\0" not in content and content.count(b"\n") == content.count(b"\r") == content.count(b"\r\n")
    assert code == ["250" if clean else "550"]
    assert [m.content for m in driver.messages] == ([content] if clean else [])


def test_replies_refuse_a_class_mismatch_and_unsafe_text() -> None:
    with pytest.raises(ValueError, match="does not go with"):
        Reply(550, "4.1.1", "x")
    with pytest.raises(ValueError, match="not a reply code"):
        Reply(650, "", "x")
    assert Reply(550, "5.1.1", "evil\r\n250 OK\x00ü").wire == b"550-5.1.1 evil?\r\n550 5.1.1 250 OK??\r\n"

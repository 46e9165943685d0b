"""The POP3 front end over a stream in memory and a mailbox of lists."""

from __future__ import annotations

import base64
import hashlib
import hmac
from types import SimpleNamespace

import pytest

from postern.frontends.pop3.frontend import Pop3Frontend
from postern.frontends.pop3.replies import REPLIES
from postern.frontends.pop3.settings import Pop3Settings
from postern.model.ids import AccountId, BlobRef, FolderId, MailboxId
from postern.model.items import Columns, SpecialUse
from postern.model.refusal import Reason, Refusal
from postern.net.clock import SystemEntropy
from postern.net.stream import Stopping
from postern.roles.maildrops import MaildropLocks
from postern.services.authentication import Principal

ANNA = Principal(AccountId(1), "anna@example.org", MailboxId("a" * 32), 1)


class FakeStream:
    """Reads come from a list, one a read; `None` raises TimeoutError, an exception is raised."""

    def __init__(self, *reads: object, tls: bool = True) -> None:
        self.reads = list(reads)
        self.peer = ("192.0.2.1", 999)
        self.tls = (
            SimpleNamespace(
                version="TLSv1.3", cipher="x", server_end_point=b"hash", peer_certificate=b"", peer_chain=()
            )
            if tls
            else None
        )
        self.writes: list[bytes] = []
        self.closed = False

    async def read(self, timeout_s: float) -> bytes:
        if not self.reads:
            return b""
        read = self.reads.pop(0)
        if callable(read):
            read = read(self)
        if isinstance(read, BaseException):
            raise read
        return read

    def write(self, data) -> None:
        self.writes.append(b"".join(data) if isinstance(data, list) else data)

    async def drain(self) -> None:
        pass

    async def start_tls(self, context) -> None:
        self.tls = SimpleNamespace(
            version="TLSv1.3", cipher="x", server_end_point=b"hash", peer_certificate=b"", peer_chain=()
        )

    def close(self) -> None:
        self.closed = True

    @property
    def out(self) -> bytes:
        return b"".join(self.writes)


class FakeMailbox:
    def __init__(self, *messages: bytes) -> None:
        self.messages = {uid: content for uid, content in enumerate(messages, 10)}
        self.looks = 0
        self.synced = False
        self.failure: Refusal | None = None

    async def folders(self):
        return [SimpleNamespace(id=FolderId(7), special=SpecialUse.INBOX, uid_validity=0xABC)]

    async def items(self, folder, columns, ranges=None):
        self.looks += 1
        chosen = [
            uid for uid in sorted(self.messages) if ranges is None or any(low <= uid <= high for low, high in ranges)
        ]
        prefix = b"Received: x\r\n"
        fields = {
            Columns.UID | Columns.SIZE: lambda uid: (uid, len(prefix) + len(self.messages[uid])),
            Columns.UID | Columns.PREFIX | Columns.BLOB: lambda uid: (uid, prefix, 1, uid),
            Columns.UID | Columns.HEADER | Columns.PREFIX: lambda uid: (
                uid,
                self.messages[uid].partition(b"\r\n\r\n")[0] + b"\r\n\r\n",
                prefix,
            ),
        }[columns]
        yield [fields(uid) for uid in chosen]

    async def read_bodies(self, refs):
        return [self.messages[ref.record] for ref in refs]

    async def expunge(self, folder, ranges, *, only_deleted=True):
        assert not only_deleted
        if self.failure:
            raise self.failure
        gone = [uid for uid in self.messages if any(low <= uid <= high for low, high in ranges)]
        for uid in gone:
            del self.messages[uid]
        return gone

    async def durable(self):
        self.synced = True


class FakeAuthentication:
    async def watch(self, principal, protocol, session):
        return lambda: None

    async def verify_password(self, user, password, peer_address, protocol, authzid=""):
        assert peer_address == "192.0.2.1" and protocol == "pop3"
        if (user, password) != ("anna", "two words"):
            raise Refusal(Reason.BAD_CREDENTIALS)
        return ANNA

    async def scram(self, user, peer_address="", protocol=""):
        salted = hashlib.pbkdf2_hmac("sha256", b"pencil", b"salt", 4096)
        client = hmac.digest(salted, b"Client Key", "sha256")
        server = hmac.digest(salted, b"Server Key", "sha256")
        return SimpleNamespace(
            salt=b"salt",
            iterations=4096,
            stored_key=hashlib.sha256(client).digest(),
            server_key=server,
            alternatives=(),
        )

    async def finish_scram(self, user, ok, peer_address, protocol="", authzid="", *, stored_key=b""):
        if not ok:
            raise Refusal(Reason.BAD_CREDENTIALS)
        return ANNA


@pytest.fixture
def serve(tmp_path):
    locks = MaildropLocks(tmp_path / "maildrops")

    async def run(stream, mailbox=None, **settings):
        mailboxes = SimpleNamespace()

        async def open_(principal, owner=None):
            assert principal is ANNA
            return mailbox or FakeMailbox()

        mailboxes.open = open_
        frontend = Pop3Frontend(
            Pop3Settings(server_name="mail.example.org", **settings), mailboxes, FakeAuthentication(), locks,
            SystemEntropy(), lambda: object(),
        )  # fmt: skip
        await frontend.handle(stream)
        assert stream.closed
        return stream.out.decode()

    run.locks = locks
    yield run
    locks.close()


LOGIN = b"USER anna\r\nPASS two words\r\n"


async def test_a_session(serve):
    mailbox = FakeMailbox(b"A: 1\r\n\r\n.dot\r\n", b"B: 2\r\n\r\nbody\r\nmore\r\n")
    stream = FakeStream(LOGIN, b"STAT\r\nLIST\r\nUIDL 2\r\n", b"RETR 1\r\n", b"TOP 2 1\r\nTOP 1 0\r\nLIST 3\r\n",
                        b"DELE 2\r\nRETR 2\r\nSTAT\r\nNOOP\r\nUIDL\r\n", b"QUIT\r\n")  # fmt: skip
    text = await serve(stream, mailbox)
    assert text == (
        "+OK mail.example.org Postern ready\r\n"
        "+OK and the password?\r\n+OK 2 messages\r\n"
        "+OK 2 60\r\n+OK 2 messages\r\n1 27\r\n2 33\r\n.\r\n+OK 2 abc.b\r\n"
        "+OK 27 octets\r\nReceived: x\r\nA: 1\r\n\r\n..dot\r\n.\r\n"
        "+OK top of the message\r\nReceived: x\r\nB: 2\r\n\r\nbody\r\n.\r\n"
        "+OK top of the message\r\nReceived: x\r\nA: 1\r\n\r\n.\r\n"
        "-ERR no such message\r\n"
        "+OK marked\r\n-ERR no such message\r\n+OK 1 27\r\n+OK\r\n+OK unique ids\r\n1 abc.a\r\n.\r\n"
        "+OK bye\r\n"
    )
    assert list(mailbox.messages) == [10] and mailbox.synced


async def test_pipelined_retrievals_are_one_look_and_one_write(serve):
    mailbox = FakeMailbox(*[b"A: b\r\n\r\nx\r\n"] * 50)
    stream = FakeStream(LOGIN, b"".join(b"RETR %d\r\n" % n for n in range(1, 51)) + b"NOOP\r\n")
    text = await serve(stream, mailbox)
    assert text.count("octets") == 50
    assert mailbox.looks == 2  # login, and all bodies
    assert len(stream.writes) == 3  # greeting, login, the rest


async def test_large_answers_are_written_in_parts(serve):
    mailbox = FakeMailbox(*[b"A: b\r\n\r\n" + b"x" * 1000 + b"\r\n"] * 20)
    stream = FakeStream(LOGIN, b"".join(b"RETR %d\r\n" % n for n in range(1, 21)))
    text = await serve(stream, mailbox, output_bytes=3000)
    assert text.count("octets") == 20
    assert max(map(len, stream.writes)) < 5000


async def test_nothing_is_deleted_without_quit(serve):
    mailbox = FakeMailbox(b"A: b\r\n\r\n")
    for end in (b"", TimeoutError(), ConnectionResetError()):
        await serve(FakeStream(LOGIN, b"DELE 1\r\n", end), mailbox)
        assert mailbox.messages and not mailbox.synced
    text = await serve(FakeStream(LOGIN, b"DELE 1\r\nRSET\r\nQUIT\r\n"), mailbox)
    assert mailbox.messages and text.endswith("+OK bye\r\n")


async def test_a_failed_update_says_so(serve):
    mailbox = FakeMailbox(b"A: b\r\n\r\n")
    mailbox.failure = Refusal(Reason.READ_ONLY)
    text = await serve(FakeStream(LOGIN, b"DELE 1\r\nQUIT\r\n"), mailbox)
    assert text.endswith("-ERR [SYS/TEMP] the mailbox is read-only at the moment\r\n")


async def test_a_message_that_vanished_is_refused(serve):
    mailbox = FakeMailbox(b"A: 1\r\n\r\n", b"A: 2\r\n\r\n")

    def vanish(stream):
        del mailbox.messages[10]
        return b"RETR 1\r\nRETR 2\r\nTOP 1 5\r\nRETR 9\r\nRETR x\r\n"

    text = await serve(FakeStream(LOGIN, vanish), mailbox)
    assert text.count("-ERR the message is no longer there") == 2
    assert text.count("-ERR no such message") == 2
    assert "A: 2" in text


async def test_the_maildrop_is_locked(serve):
    release = serve.locks.acquire(ANNA.slot)
    assert "-ERR [IN-USE]" in await serve(FakeStream(LOGIN))
    release()
    assert "[IN-USE]" not in await serve(FakeStream(LOGIN))
    assert "[IN-USE]" not in await serve(FakeStream(LOGIN))  # released at the end


async def test_unique_ids_stay_after_deletions(serve):
    mailbox = FakeMailbox(b"A: 1\r\n\r\nx\r\n", b"A: 2\r\n\r\nx\r\n", b"A: 3\r\n\r\nx\r\n")
    before = (await serve(FakeStream(LOGIN, b"UIDL\r\nDELE 1\r\nQUIT\r\n"), mailbox)).partition("unique ids\r\n")[2]
    after = (await serve(FakeStream(LOGIN, b"UIDL\r\n"), mailbox)).partition("unique ids\r\n")[2]
    ids = [line.split()[1] for line in before.split("\r\n")[1:3]]
    assert [line.split() for line in after.split("\r\n")[:2]] == [["1", ids[0]], ["2", ids[1]]]


async def test_a_user_leaves_some_time_between_sessions(tmp_path):
    locks = MaildropLocks(tmp_path / "maildrops")
    mailboxes = SimpleNamespace()

    async def open_(principal, owner=None):
        return FakeMailbox()

    mailboxes.open = open_
    settings = Pop3Settings(login_delay_s=30, expire_days=7)

    def frontend():
        """That of another listener or worker: the time is the user's."""
        return Pop3Frontend(settings, mailboxes, FakeAuthentication(), locks, SystemEntropy(), lambda: object())

    first, second = FakeStream(b"CAPA\r\n" + LOGIN + b"QUIT\r\n"), FakeStream(LOGIN + b"NOOP\r\n")
    await frontend().handle(first)
    await frontend().handle(second)
    assert locks.acquire(ANNA.slot) is not None  # who was sent away holds nothing
    locks.close()
    assert "LOGIN-DELAY 30\r\n" in first.out.decode() and "EXPIRE 7\r\n" in first.out.decode()
    assert "+OK 0 messages" in first.out.decode()
    assert "-ERR [LOGIN-DELAY]" in second.out.decode() and "-ERR log in first" in second.out.decode()


async def test_utf8_comes_before_the_login(serve):
    text = await serve(FakeStream(b"CAPA\r\nUTF8\r\n" + LOGIN + b"UTF8\r\n"))
    assert "UTF8 USER\r\n" in text and "+OK UTF8 enabled" in text and "-ERR already logged in" in text
    assert "\r\nEXPIRE NEVER\r\n" in text


async def test_capabilities_follow_state_and_tls(serve):
    clear = await serve(FakeStream(b"CAPA\r\n", tls=False))
    assert "STLS\r\n" in clear and "USER" not in clear and "PLAIN" not in clear and "SASL SCRAM-SHA-256\r\n" in clear
    tls = await serve(FakeStream(b"CAPA\r\n"))
    assert "STLS" not in tls and "USER\r\n" in tls and "SASL SCRAM-SHA-256-PLUS SCRAM-SHA-256 PLAIN LOGIN\r\n" in tls
    for name in ("TOP", "UIDL", "PIPELINING", "RESP-CODES", "AUTH-RESP-CODE"):
        assert f"\r\n{name}\r\n" in tls
    assert "SASL" not in (await serve(FakeStream(LOGIN, b"CAPA\r\n"))).partition("messages")[2]


async def test_passwords_do_not_cross_in_clear(serve):
    text = await serve(FakeStream(LOGIN + b"AUTH PLAIN AGFubmEAdHdvIHdvcmRz\r\n", tls=False))
    assert text.count("-ERR [AUTH] encryption is needed first") == 3 and "messages" not in text


async def test_stls_drops_what_came_before(serve):
    after = b"PASS two words\r\nUSER anna\r\nPASS two words\r\nSTLS\r\n"
    text = await serve(FakeStream(b"STLS\r\nUSER anna\r\n", after, tls=False))
    assert "+OK begin TLS\r\n-ERR USER comes first\r\n+OK and the password?\r\n+OK 0 messages\r\n" in text
    assert text.endswith("-ERR already logged in\r\n")


async def test_sasl_plain_with_and_without_initial_response(serve):
    for reads in ([b"AUTH PLAIN AGFubmEAdHdvIHdvcmRz\r\n"], [b"AUTH PLAIN\r\n", b"AGFubmEAdHdvIHdvcmRz\r\n"]):
        assert "+OK 0 messages" in await serve(FakeStream(*reads))
    text = await serve(
        FakeStream(b"AUTH PLAIN\r\n", b"*\r\n", b"AUTH PLAIN\r\n", b"!!\r\n", b"AUTH NTLM\r\n", b"AUTH\r\n")
    )
    assert "-ERR cancelled" in text and "-ERR invalid base64" in text and "-ERR not supported" in text
    assert "PLAIN\r\nLOGIN\r\n.\r\n" in text


async def test_sasl_scram(serve):
    state = {}

    def respond(stream):
        first = base64.b64decode(stream.writes[-1][2:]).decode()
        fields = dict(part.split("=", 1) for part in first.split(","))
        salted = hashlib.pbkdf2_hmac("sha256", b"pencil", base64.b64decode(fields["s"]), int(fields["i"]))
        client_key = hmac.digest(salted, b"Client Key", "sha256")
        bare = "c=biws,r=" + fields["r"]
        message = f"n=anna,r=abc,{first},{bare}".encode()
        signature = hmac.digest(hashlib.sha256(client_key).digest(), message, "sha256")
        proof = bytes(a ^ b for a, b in zip(client_key, signature, strict=True))
        state["server"] = hmac.digest(hmac.digest(salted, b"Server Key", "sha256"), message, "sha256")
        return base64.b64encode(f"{bare},p={base64.b64encode(proof).decode()}".encode()) + b"\r\n"

    def confirm(stream):
        final = base64.b64decode(stream.writes[-1][2:])
        assert final == b"v=" + base64.b64encode(state["server"])
        return b"\r\n"

    stream = FakeStream(
        b"AUTH SCRAM-SHA-256 " + base64.b64encode(b"n,,n=anna,r=abc") + b"\r\n", respond, confirm, tls=False
    )
    assert "+OK 0 messages" in await serve(stream)


async def test_wrong_passwords_and_endless_rubbish(serve):
    assert "-ERR [AUTH] wrong" in await serve(FakeStream(b"USER anna\r\nPASS wrong\r\n"))
    text = await serve(FakeStream(b"rubbish\r\n" * 100), max_bad_commands=5)
    assert text.count("-ERR") == 5
    text = await serve(FakeStream(b"x" * 5000, b"x" * 5000 + b"\r\nCAPA\n\r\nUSER \xff\r\n"))
    assert "line too long" in text and "lines end with CRLF" in text and "not UTF-8" in text


async def test_a_stopping_server_says_so(serve):
    assert (await serve(FakeStream(Stopping()))).endswith("-ERR [SYS/TEMP] the server is stopping\r\n")


def test_every_reason_has_a_reply():
    assert set(REPLIES) == set(Reason)
    assert all(reply.startswith(b"-ERR ") and reply.endswith(b"\r\n") for reply in REPLIES.values())


def test_locks_hold_between_processes(tmp_path):
    import os

    mine = MaildropLocks(tmp_path / "locks")
    release = mine.acquire(5)
    pid = os.fork()
    if not pid:
        theirs = MaildropLocks(tmp_path / "locks")
        os._exit(0 if theirs.acquire(5) is None and theirs.acquire(6) is not None else 1)
    assert os.waitpid(pid, 0)[1] == 0
    release()
    release()
    assert mine.acquire(5) is not None
    assert BlobRef(1, 2).record == 2
    mine.close()


def test_when_a_session_began_is_known_to_other_processes(tmp_path):
    mine, theirs = MaildropLocks(tmp_path / "locks"), MaildropLocks(tmp_path / "locks")
    assert mine.wait_s(5, 1000.0, 30) == 0.0
    assert theirs.wait_s(5, 1010.0, 30) == 20.0 and theirs.wait_s(6, 1010.0, 30) == 0.0
    assert theirs.wait_s(5, 1030.0, 30) == 0.0
    assert mine.wait_s(5, 1031.0, 30) == 29.0
    assert mine.wait_s(5, 3.0, 30) == 0.0  # the machine was started anew
    mine.close()
    theirs.close()

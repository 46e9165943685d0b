"""ManageSieve over a stream in memory: transcripts, limits, and what the session makes of any chunking."""

from __future__ import annotations

import base64
from types import SimpleNamespace

from hypothesis import given
from hypothesis import strategies as st

from postern.frontends.managesieve.frontend import ManageSieveFrontend
from postern.frontends.managesieve.replies import REPLIES
from postern.frontends.managesieve.settings import ManageSieveSettings
from postern.model.ids import AccountId, ChangeNumber, MailboxId
from postern.model.refusal import Reason, Refusal
from postern.model.sync import Setting
from postern.net.clock import SystemEntropy
from postern.protocols.managesieve.commands import State
from postern.protocols.managesieve.session import Bad, Session
from postern.services.authentication import Principal
from postern.services.rules.rulebook import RuleBook

ANNA = Principal(AccountId(1), "anna@example.org", MailboxId("a" * 32), 1)
LOGIN = b'AUTHENTICATE "PLAIN" "' + base64.b64encode(b"\0anna\0secret") + b'"\r\n'
TLS = SimpleNamespace(version="TLSv1.3", cipher="x", server_end_point=b"hash", peer_certificate=b"", peer_chain=())


class FakeStream:
    def __init__(self, *reads, tls=True):
        self.reads = list(reads)
        self.peer = ("192.0.2.1", 999)
        self.tls = TLS if tls else None
        self.out = b""

    async def read(self, timeout_s):
        return self.reads.pop(0) if self.reads else b""

    def write(self, data):
        self.out += b"".join(data) if isinstance(data, list) else data

    async def drain(self):
        pass

    async def start_tls(self, context):
        self.tls = TLS

    def close(self):
        pass


class Values:
    def __init__(self):
        self.kinds = {}
        self.synced = 0

    async def settings(self, kind):
        return [Setting(k, v, ChangeNumber(1)) for k, v in sorted(self.kinds.get(kind, {}).items())]

    async def set_settings(self, kind, values, unchanged_since=None):
        for name, value in values.items():
            if value is None:
                self.kinds.get(kind, {}).pop(name, None)
            else:
                self.kinds.setdefault(kind, {})[name] = value
        return ChangeNumber(1)

    async def durable(self):
        self.synced += 1


class Shared:
    """Books, authentication and generation in one."""

    rules_number = 0

    def __init__(self):
        self.values = Values()

    def rules_changed(self):
        self.rules_number += 1

    async def open(self, principal, owner=None):
        return RuleBook(self.values, self)

    async def verify_password(self, user, password, peer_address, protocol, authzid=""):
        assert protocol == "imap"
        if password != "secret":
            raise Refusal(Reason.BAD_CREDENTIALS)
        return ANNA

    async def watch(self, principal, protocol, session):
        return lambda: None


async def talk(*reads, shared=None, tls=True):
    shared = shared or Shared()
    stream = FakeStream(*reads, tls=tls)
    frontend = ManageSieveFrontend(
        ManageSieveSettings(server_name="mx"), shared, shared, SystemEntropy(), lambda: object()
    )
    await frontend.handle(stream)
    return stream.out


async def dialogue(*commands, shared=None):
    """The answers to commands after sign-in."""
    out = await talk(LOGIN + b"".join(commands), shared=shared)
    return out.partition(b'OK "welcome"\r\n')[2]


async def test_the_greeting_tells_what_there_is():
    out = await talk()
    assert b'"IMPLEMENTATION" "Postern"\r\n' in out
    assert b'"VERSION" "1.0"\r\n' in out
    assert b'"SIEVE" "body ' in out
    assert b"PLAIN" in out
    assert b'"STARTTLS"' not in out
    clear = await talk(tls=False)
    assert b'"STARTTLS"\r\n' in clear
    assert b"PLAIN" not in clear
    assert clear.endswith(b'OK "mx Postern ready"\r\n')


async def test_nothing_before_tls_counts():
    out = await talk(LOGIN, b"STARTTLS\r\nLISTSCRIPTS\r\n", LOGIN, tls=False)
    assert b"NO (ENCRYPT-NEEDED)" in out
    assert b'OK "begin TLS"\r\n"IMPLEMENTATION"' in out
    assert out.endswith(b'OK "welcome"\r\n'), "what came with STARTTLS was dropped"


async def test_scripts_come_and_go():
    shared = Shared()
    script = b'require "fileinto";\r\nfileinto "x";\r\n'
    put = b'PUTSCRIPT "m\xc3\xa4in" {%d+}\r\n%b\r\n' % (len(script), script)
    out = await dialogue(
        b'HAVESPACE "m\xc3\xa4in" 100\r\n', put, b"LISTSCRIPTS\r\n", b'SETACTIVE "m\xc3\xa4in"\r\n', b"LISTSCRIPTS\r\n",
        b'GETSCRIPT "m\xc3\xa4in"\r\n', b'DELETESCRIPT "m\xc3\xa4in"\r\n', b'RENAMESCRIPT "m\xc3\xa4in" "b"\r\n',
        b"LISTSCRIPTS\r\n", b'SETACTIVE ""\r\n', b'DELETESCRIPT "b"\r\n', b"LISTSCRIPTS\r\n", b"LOGOUT\r\n",
        shared=shared,
    )  # fmt: skip
    assert out == (
        b'OK\r\nOK "kept"\r\n"m\xc3\xa4in"\r\nOK\r\nOK "active"\r\n"m\xc3\xa4in" ACTIVE\r\nOK\r\n'
        b"{%d}\r\n%b\r\nOK\r\n"
        % (len(script), script)
        + b'NO (ACTIVE) "the script is active"\r\nOK "renamed"\r\n"b" ACTIVE\r\nOK\r\n'
        b'OK "no script is active"\r\nOK "removed"\r\nOK\r\nOK "bye"\r\n'
    )
    assert shared.values.synced == shared.rules_number == 7


async def test_what_is_refused_says_why():
    out = await dialogue(
        b'PUTSCRIPT "a" "frob;"\r\n', b'CHECKSCRIPT "keep"\r\n', b'CHECKSCRIPT "keep;"\r\n', b'SETACTIVE "none"\r\n',
        b'GETSCRIPT "none"\r\n', b'HAVESPACE "x" 99999999\r\n', b'PUTSCRIPT "a/b" "keep;"\r\n', b"FROB\r\n",
        b"HAVESPACE 1 2\r\n", b'NOOP "t"\r\n', b'AUTHENTICATE "PLAIN"\r\n',
    )  # fmt: skip
    assert out.split(b"\r\n") == [
        b'NO "line 1, column 1: unknown command `frob`"',
        b'NO "line 1, column 5: `;` or a block is expected here, not the end of the script"',
        b'OK "the script is valid"',
        b'NO (NONEXISTENT) "there is no such script"',
        b'NO (NONEXISTENT) "there is no such script"',
        b'NO (QUOTA/MAXSIZE) "the script is too large"',
        b'NO "a script cannot have that name"',
        b'NO "unknown command"',
        b'NO "a string is needed"',
        b'OK (TAG "t") "done"',
        b'NO "that is done before authentication"',
        b"",
    ]


async def test_authentication_in_steps_and_out_again():
    out = await talk(
        b'AUTHENTICATE "PLAIN"\r\n', b'"' + base64.b64encode(b"\0anna\0wrong") + b'"\r\n',
        b'AUTHENTICATE "PLAIN"\r\n"*"\r\n', LOGIN, b"UNAUTHENTICATE\r\nLISTSCRIPTS\r\n",
    )  # fmt: skip
    assert b'NO "wrong user name or password"\r\n' in out
    assert b'NO "cancelled"\r\n' in out
    assert out.endswith(b'OK "welcome"\r\nOK "who is it now?"\r\nNO "authenticate first"\r\n')


async def test_limits_before_authentication():
    assert (await talk(b"X {99999999+}\r\n")).endswith(b'BYE "the string is too long"\r\n')
    assert b'BYE "too many wrong commands"\r\n' in await talk(b"X\r\n" * 50)


async def test_a_script_that_is_too_long_costs_the_command_only():
    out = await dialogue(b'PUTSCRIPT "a" {2000000+}\r\n' + b"#" * 2_000_000 + b"\r\n", b"LISTSCRIPTS\r\n")
    assert out == b'NO "the string is too long"\r\nOK\r\n'


def test_every_reason_has_an_answer():
    assert set(REPLIES) == set(Reason)


@given(st.data())
def test_chunking_never_changes_events(data):
    pieces = [
        b"CAPABILITY\r\n",
        b'NOOP "a\\"b"\r\n', b'PUTSCRIPT "x" {4+}\r\nke\r\n\r\n', b"PUTSCRIPT {1}\r\nx {2+}\r\nyz\r\n",
        b"\r\n", b'GETSCRIPT "open\r\n', b"HAVESPACE \"a\" 12\r\n", b"x\n", b"\xff\r\n", b'NOOP ""\r\n', b"LOGOUT \r\n",
    ]  # fmt: skip
    wire = b"".join(data.draw(st.lists(st.sampled_from(pieces) | st.binary(max_size=9), max_size=6)))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(wire)), max_size=5)))

    def events(chunks):
        session, found = Session(), []
        session.state = State.AUTHENTICATED
        for chunk in chunks:
            session.feed(chunk)
            while (event := session.next_event()) is not None:
                found.append(event)
                if isinstance(event, Bad) and event.over:
                    return found
        return found

    chunks = [wire[a:b] for a, b in zip([0, *cuts], [*cuts, len(wire)], strict=True)]
    assert events(chunks) == events([wire]) == events([wire[i : i + 1] for i in range(len(wire))])

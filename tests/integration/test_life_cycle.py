"""Whatever a sign-in stands on ends it, in every worker at once, with the right words."""

from __future__ import annotations

import asyncio
import contextlib
import imaplib
import poplib
import smtplib
import socket
import ssl
import time

import pytest
from tests.integration.organisation import PASSWORD, Running, make_organisation, make_settings
from tests.stopwatch import stopwatch

from postern.cli.organisation import open_directory
from postern.directory.interface import AccountChange
from postern.directory.passwords import CHEAP, new_credentials
from postern.model.rights import AdminRole, MailboxRight
from postern.net.clock import SystemEntropy

pytestmark = pytest.mark.integration

AT_ONCE_S = 1.0
SESSIONS = 6
"""So many that both workers have some."""


def insecure() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    settings = make_settings(tmp_path_factory.mktemp("data"))
    make_organisation(settings)
    running = Running(settings)
    running.wait_ready()
    yield running
    assert running.stop() == 0


def change(server: Running, work):
    async def run():
        async with open_directory(server.settings) as directory:
            return await work(directory)

    return asyncio.run(run())


@pytest.fixture
def user(server):
    """Anna as she was: enabled, with her password."""

    async def restore(directory):
        await directory.change_account(
            "anna@example.org", AccountChange(enabled=True, expires_at=0, protocols=frozenset({"imap", "pop3", "smtp"}))
        )
        account = await directory.login("anna@example.org")
        await directory.set_password(account.id, *new_credentials(PASSWORD, SystemEntropy(), CHEAP))

    change(server, restore)
    time.sleep(0.1)
    return "anna@example.org"


@contextlib.contextmanager
def sign_in(server: Running, user: str):
    """Idle IMAP sessions, a POP3 and an SMTP one."""
    with contextlib.ExitStack() as stack:
        imaps = []
        for _ in range(SESSIONS):
            client = imaplib.IMAP4_SSL("127.0.0.1", server.ports["imaps"], ssl_context=insecure(), timeout=60)
            stack.callback(client.shutdown)
            client.login(user, PASSWORD)
            client.select("INBOX")
            client.send(b"x IDLE\r\n")
            assert client.readline().startswith(b"+")
            imaps.append(client)
        pop = poplib.POP3_SSL("127.0.0.1", server.ports["pop3s"], context=insecure(), timeout=60)
        stack.callback(pop.close)
        pop.user(user)
        pop.pass_(PASSWORD)
        smtp = smtplib.SMTP_SSL("127.0.0.1", server.ports["submissions"], context=insecure(), timeout=60)
        stack.callback(smtp.close)
        smtp.login(user, PASSWORD)
        yield imaps, pop, smtp


def lines(imaps, pop, smtp) -> tuple[set[bytes], bytes, bytes]:
    """What they are told, and that it is the last."""
    told = set()
    for client in imaps:
        line = client.readline()
        while line.startswith(b"* ") and not line.startswith(b"* BYE"):
            line = client.readline()
        told.add(line.strip())
        assert client.readline() == b""
    mail, post = pop.file.readline().strip(), smtp.file.readline().strip() if smtp.file else smtp.sock.recv(200).strip()
    return told, mail, post


async def disable(directory):
    await directory.change_account("anna@example.org", AccountChange(enabled=False))


async def expire(directory):
    await directory.change_account("anna@example.org", AccountChange(expires_at=1.0))


async def new_password(directory):
    account = await directory.login("anna@example.org")
    await directory.set_password(account.id, *new_credentials("another", SystemEntropy(), CHEAP))


async def switch_off(directory):
    await directory.change_account("anna@example.org", AccountChange(protocols=frozenset()))


@pytest.mark.parametrize(
    ("work", "imap", "pop", "smtp"),
    [
        (disable, b"* BYE [AUTHORIZATIONFAILED] The account may not be used", b"-ERR [AUTH]", b"User account disabled"),
        (expire, b"* BYE [AUTHORIZATIONFAILED] The account has expired", b"has expired", b"User account expired"),
        (new_password, b"* BYE [EXPIRED] The password was changed, sign in again", b"changed", b"was changed"),
        (switch_off, b"* BYE [AUTHORIZATIONFAILED] The account may not be used", b"-ERR [AUTH]", b"disabled"),
    ],
)
def test_open_sessions_end_at_once(server, user, work, imap, pop, smtp):
    with sign_in(server, user) as sessions, stopwatch() as took:
        change(server, work)
        told, mail, post = lines(*sessions)
    assert told == {imap}
    assert mail.startswith(b"-ERR") and pop in mail
    assert post.startswith(b"421 4.7.0") and smtp in post
    assert took.seconds < AT_ONCE_S
    with (
        pytest.raises(imaplib.IMAP4.error),
        contextlib.closing(
            imaplib.IMAP4_SSL("127.0.0.1", server.ports["imaps"], ssl_context=insecure(), timeout=60)
        ) as client,
    ):
        client.login(user, PASSWORD)
        client.shutdown()


def test_an_account_that_expires_while_it_is_signed_in(server, user):
    async def soon(directory):
        await directory.change_account("anna@example.org", AccountChange(expires_at=time.time() + 1.5))

    with sign_in(server, user) as sessions:
        change(server, soon)
        started = time.monotonic()
        with stopwatch() as took:
            told, _, _ = lines(*sessions)
        assert told == {b"* BYE [AUTHORIZATIONFAILED] The account has expired"}
        assert time.monotonic() - started > 1.0 and took.seconds < 3.5


def plain(server, authzid: str, user: str) -> socket.socket:
    client = imaplib.IMAP4_SSL("127.0.0.1", server.ports["imaps"], ssl_context=insecure(), timeout=60)
    client.authenticate("PLAIN", lambda _: f"{authzid}\0{user}\0{PASSWORD}".encode())
    return client


@pytest.mark.parametrize("by_role", [False, True])
def test_a_withdrawn_right_ends_sessions_in_the_others_mailbox_only(server, user, by_role):
    async def give(directory, given=True):
        if by_role:
            await directory.assign_role(AdminRole.IMPERSONATION, "boris@example.org", assigned=given)
        else:
            await directory.grant_on("anna@example.org", "boris@example.org", MailboxRight.FULL_ACCESS, granted=given)

    change(server, give)
    time.sleep(0.1)
    acting, own = plain(server, user, "boris@example.org"), plain(server, "", "boris@example.org")
    opened = plain(server, "", "boris@example.org")
    try:
        if not by_role:
            assert opened.select('"Other Users/anna@example.org/INBOX"')[0] == "OK"
        change(server, lambda directory: give(directory, False))
        assert acting.readline().startswith(b"* BYE [NOPERM] A right was withdrawn")
        if not by_role:
            assert opened.readline().startswith(b"* BYE [NOPERM]")
            # the account's other sessions in this worker may end with it, its sign-in does not
            with plain(server, "", "boris@example.org") as again:
                assert again.noop()[0] == "OK"
        else:
            assert own.noop()[0] == "OK"
        with pytest.raises(imaplib.IMAP4.error):
            plain(server, user, "boris@example.org")
    finally:
        for client in (acting, own, opened):
            client.shutdown()

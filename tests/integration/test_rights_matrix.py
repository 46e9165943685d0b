"""Every front end does for everybody what may() says, over all pairs of who and what; one without a row fails."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import http.client
import imaplib
import json
import pkgutil
import poplib
import smtplib
import socket
import ssl
from collections.abc import Callable, Iterator
from typing import NamedTuple

import pytest
from tests.integration.organisation import PASSWORD, Running, make_organisation, make_settings

from postern import frontends
from postern.directory.interface import NewAccount, Policy, RecipientKind
from postern.directory.passwords import CHEAP, new_credentials
from postern.model.items import SpecialUse
from postern.model.rights import ROLES, AdminRight, AdminRole, FolderRight, MailboxRight
from postern.net.clock import SystemEntropy
from postern.protocols.ldap import messages
from postern.protocols.ldap import operations as op
from postern.roles.parts import Parts
from postern.services.permissions import FolderObject, Permissions, RecipientObject
from postern.services.principal import Principal

pytestmark = pytest.mark.integration

PEOPLE = {
    "owner": None,
    "nobody": None,
    "full": MailboxRight.FULL_ACCESS,
    "grouped": None,  # full access by way of a group
    "sender": MailboxRight.SEND_AS,
    "deputy": MailboxRight.SEND_ON_BEHALF,
    "actor": AdminRole.IMPERSONATION,
    **dict.fromkeys(("visible", "reviewer", "contributor", "author", "editor", "folderowner")),
}
TARGETS = ("owner", "shared", "nobody")
BODY = b"From: %b@example.org\r\nTo: nobody@example.org\r\nSubject: x\r\n\r\nx\r\n"


class World(NamedTuple):
    server: Running
    may: Callable[..., bool]


@pytest.fixture(scope="module")
def world(tmp_path_factory) -> Iterator[World]:
    settings = make_settings(tmp_path_factory.mktemp("data"), workers=1)
    make_organisation(settings)
    asyncio.run(fill(settings))
    running = Running(settings)
    running.wait_ready()
    loop = asyncio.new_event_loop()
    parts = loop.run_until_complete(_open(settings))
    permissions = Permissions(parts.directory)

    def may(who: str, right: object, target: str, name: str = "INBOX") -> bool:
        """services.permissions.may, on a folder by its name for folder rights."""

        async def ask() -> bool:
            account = await parts.directory.login(who)
            goal = await parts.directory.login(target)
            principal = Principal(account.id, account.address, account.mailbox, account.slot)
            if isinstance(right, FolderRight):
                folders = await (await parts.store.mailbox(goal.mailbox)).folders()
                folder = next(folder.id for folder in folders if folder.name.upper() == name.upper())
                return await permissions.may(principal, right, FolderObject(goal.mailbox, folder))
            if right is AdminRight.IMPERSONATE:
                return await permissions.may_impersonate(account.id, goal)
            return await permissions.may(principal, right, RecipientObject(goal.id))

        return loop.run_until_complete(ask())

    yield World(running, may)
    loop.run_until_complete(parts.close())
    loop.close()
    assert running.stop() == 0


async def _open(settings) -> Parts:
    return Parts.open(settings, "test", None, 0)


async def fill(settings) -> None:
    parts = await _open(settings)
    directory = parts.directory
    password, scram = new_credentials(PASSWORD, SystemEntropy(), CHEAP)
    new = [NewAccount(f"{name}@example.org", password_hash=password, scram=scram) for name in PEOPLE]
    for account in await directory.create_accounts([*new, NewAccount("shared@example.org", kind=RecipientKind.SHARED)]):
        await parts.store.create_mailbox(account.mailbox, account.slot, account.quota)
    await directory.put_group("team@example.org")
    await directory.set_members("team@example.org", add=["grouped@example.org"])
    for target in ("owner", "shared"):
        address = f"{target}@example.org"
        mailbox = (await directory.login(address)).mailbox
        inbox = (await (await parts.store.mailbox(mailbox)).special(SpecialUse.INBOX)).id
        await directory.grant_on(address, "team@example.org", MailboxRight.FULL_ACCESS)
        for name, right in PEOPLE.items():
            if isinstance(right, MailboxRight):
                await directory.grant_on(address, f"{name}@example.org", right)
            role = "owner" if name == "folderowner" else name
            if role in ROLES and name != "owner":
                await directory.set_folder_rights(mailbox, inbox, f"{name}@example.org", ROLES[role])
    await directory.assign_role(AdminRole.IMPERSONATION, "actor@example.org")
    await parts.close()


def insecure() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def acts_as(world: World, who: str, target: str) -> bool:
    """What signing in as another comes to."""
    full = world.may(who, MailboxRight.FULL_ACCESS, target)
    return who == target or full or world.may(who, AdminRight.IMPERSONATE, target)


def plain(who: str, target: str) -> bytes:
    return f"{target}@example.org\0{who}@example.org\0{PASSWORD}".encode()


# --- one row for each front end


def imap_row(world: World, who: str, target: str) -> None:
    server = world.server
    with contextlib.closing(_imap(server)) as client:
        try:
            client.authenticate("PLAIN", lambda _: plain(who, target))
            opened = True
        except imaplib.IMAP4.error:
            opened = False
        assert opened == acts_as(world, who, target)
    if who == target:
        return
    inbox = f'"Other Users/{target}@example.org/INBOX"'
    with contextlib.closing(_imap(world.server)) as client:
        client.login(f"{who}@example.org", PASSWORD)

        def allowed(right: FolderRight) -> bool:
            return world.may(who, right, target)

        listed = client.list('""', inbox)[1] != [None]
        assert listed == (allowed(FolderRight.VISIBLE) or allowed(FolderRight.READ_ANY)), "LIST"
        assert (client.append(inbox, None, None, BODY % who.encode())[0] == "OK") == allowed(FolderRight.CREATE)
        assert (client.status(inbox, "(MESSAGES)")[0] == "OK") == allowed(FolderRight.READ_ANY), "STATUS"
        changes = FolderRight.EDIT_ANY, FolderRight.DELETE_ANY, FolderRight.CREATE
        try:
            readable = client.select(inbox)[0] == "OK"
        except imaplib.IMAP4.readonly:  # RFC 4314 5.2: said to who may change nothing, and to nobody else
            assert not any(map(allowed, changes)), "READ-ONLY"
            readable = client.select(inbox, readonly=True)[0] == "OK"
        else:
            assert not readable or any(map(allowed, changes)), "READ-WRITE"
        assert readable == allowed(FolderRight.READ_ANY), "SELECT"
        if readable and client.search(None, "ALL")[1] != [b""]:
            assert client.fetch("1", "(BODY.PEEK[])")[0] == "OK"
            edited, deleted = allowed(FolderRight.EDIT_ANY), allowed(FolderRight.DELETE_ANY)
            assert (client.store("1", "+FLAGS", "(\\Flagged)")[0] == "OK") == edited, "STORE"
            assert (client.store("1", "+FLAGS", "(\\Deleted)")[0] == "OK") == deleted, "STORE \\Deleted"
            assert (client.expunge()[0] == "OK") == deleted, "EXPUNGE"
        below = inbox[:-1] + f'/{who}"'
        made = client.create(below)[0] == "OK"
        client.select()
        assert made == allowed(FolderRight.CREATE_SUBFOLDER), "CREATE"
        if made:
            own = world.may(who, FolderRight.OWNER, target, who)
            assert (client.delete(below)[0] == "OK") == own, "DELETE"


def _imap(server: Running) -> imaplib.IMAP4_SSL:
    client = imaplib.IMAP4_SSL("127.0.0.1", server.ports["imaps"], ssl_context=insecure(), timeout=60)
    client.close = client.shutdown
    return client


def pop3_row(world: World, who: str, target: str) -> None:
    with contextlib.closing(
        poplib.POP3_SSL("127.0.0.1", world.server.ports["pop3s"], context=insecure(), timeout=60)
    ) as client:
        try:
            client._shortcmd("AUTH PLAIN " + base64.b64encode(plain(who, target)).decode())
            opened = True
        except poplib.error_proto:
            opened = False
        assert opened == acts_as(world, who, target)
        if opened:
            client.stat()


def smtp_row(world: World, who: str, target: str) -> None:
    with smtplib.SMTP_SSL("127.0.0.1", world.server.ports["submissions"], context=insecure(), timeout=60) as client:
        client.login(f"{who}@example.org", PASSWORD)
        as_target = who == target or world.may(who, MailboxRight.SEND_AS, target)
        assert (client.mail(f"{target}@example.org")[0] == 250) == as_target, "MAIL"
        client.rset()
        on_behalf = as_target or world.may(who, MailboxRight.SEND_ON_BEHALF, target)
        code = _send(client, f"{who}@example.org", f"From: {target}@example.org\r\nSubject: m\r\n\r\nx\r\n")
        assert (code == 250) == on_behalf, "From"
    client = smtplib.SMTP_SSL("127.0.0.1", world.server.ports["submissions"], context=insecure(), timeout=60)
    with client:
        client.ehlo()
        code, _ = client.docmd("AUTH", "PLAIN " + base64.b64encode(plain(who, target)).decode())
        assert (code == 235) == acts_as(world, who, target), "AUTH"


def _send(client: smtplib.SMTP, sender: str, content: str) -> int:
    assert client.mail(sender)[0] == 250
    assert client.rcpt("nobody@example.org")[0] == 250
    code, _ = client.data(content)
    client.rset()
    return code


def ldap_row(world, who: str, target: str) -> None:
    """Nothing of the address book is anybody's own, so that only acting for another is a question of rights."""
    bare = socket.create_connection(("127.0.0.1", world.server.ports["ldaps"]), timeout=60)
    with insecure().wrap_socket(bare) as wire:
        bind = op.BindRequest(mechanism="PLAIN", credentials=plain(who, target))
        wire.sendall(messages.encode(op.Message(1, bind)))
        answer = messages.decode(wire.recv(4096)).operation
    assert isinstance(answer, op.BindResponse)
    assert answer.result.ok == acts_as(world, who, target), "bind"


def http_row(world, who: str, target: str) -> None:
    """No page shows or does anything for another: whoever signs in is told of itself, and a shared mailbox never is."""

    def told(user: str) -> str | None:
        client = http.client.HTTPSConnection("127.0.0.1", world.server.ports["https"], timeout=60, context=insecure())
        with contextlib.closing(client):
            key = base64.b64encode(f"{user}@example.org:{PASSWORD}".encode()).decode()
            fields = {"Authorization": f"Basic {key}", "Accept": "application/json", "Host": "mail.example.org"}
            client.request("GET", "/whoami", headers=fields)
            answer = client.getresponse()
            facts = answer.read()
            assert answer.status in (200, 401)
            return json.loads(facts)["address"] if answer.status == 200 else None

    assert told(who) == f"{who}@example.org"
    assert (told(target) is None) == (target == "shared")


def _web(world, who: str | None, method: str, path: str, body: str = "") -> tuple[int, str]:
    client = http.client.HTTPSConnection("127.0.0.1", world.server.ports["https"], timeout=60, context=insecure())
    with contextlib.closing(client):
        fields = {"Host": "mail.example.org", "Content-Type": "text/xml"}
        if who is not None:
            key = base64.b64encode(f"{who}@example.org:{PASSWORD}".encode()).decode()
            fields["Authorization"] = f"Basic {key}"
        client.request(method, path, body.encode() if body else None, fields)
        answer = client.getresponse()
        return answer.status, answer.read().decode()


def _ews(world, who: str, body: str, header: str = "") -> str:
    names = "http://schemas.microsoft.com/exchange/services/2006"
    envelope = (
        f'<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/" xmlns:t="{names}/types" '
        f'xmlns:m="{names}/messages"><s:Header><t:RequestServerVersion Version="Exchange2013"/>{header}</s:Header>'
        f"<s:Body>{body}</s:Body></s:Envelope>"
    )
    return _web(world, who, "POST", "/EWS/Exchange.asmx", envelope)[1]


def ews_row(world, who: str, target: str) -> None:
    inbox = (
        '<t:DistinguishedFolderId Id="inbox"><t:Mailbox><t:EmailAddress>'
        f"{target}@example.org</t:EmailAddress></t:Mailbox></t:DistinguishedFolderId>"
    )
    found = _ews(
        world,
        who,
        '<m:FindItem Traversal="Shallow"><m:ItemShape><t:BaseShape>IdOnly</t:BaseShape></m:ItemShape>'
        f"<m:ParentFolderIds>{inbox}</m:ParentFolderIds></m:FindItem>",
    )
    assert ("NoError" in found) == (who == target or world.may(who, FolderRight.READ_ANY, target)), f"FindItem {found}"
    made = _ews(
        world,
        who,
        f'<m:CreateItem MessageDisposition="SaveOnly"><m:SavedItemFolderId>{inbox}</m:SavedItemFolderId><m:Items>'
        "<t:Message><t:Subject>x</t:Subject></t:Message></m:Items></m:CreateItem>",
    )
    assert ("NoError" in made) == (who == target or world.may(who, FolderRight.CREATE, target)), f"CreateItem {made}"
    acted = _ews(
        world,
        who,
        "<m:GetFolder><m:FolderShape><t:BaseShape>IdOnly</t:BaseShape></m:FolderShape><m:FolderIds>"
        '<t:DistinguishedFolderId Id="inbox"/></m:FolderIds></m:GetFolder>',
        "<t:ExchangeImpersonation><t:ConnectingSID><t:PrimarySmtpAddress>"
        f"{target}@example.org</t:PrimarySmtpAddress></t:ConnectingSID></t:ExchangeImpersonation>",
    )
    may_act = who == target or world.may(who, AdminRight.IMPERSONATE, target)
    assert ("NoError" in acted) == may_act, f"ExchangeImpersonation {acted}"


def managesieve_row(world, who: str, target: str) -> None:
    bare = socket.create_connection(("127.0.0.1", world.server.ports["managesieve"]), timeout=60)
    _told(bare)
    bare.sendall(b"STARTTLS\r\n")
    _told(bare)
    with insecure().wrap_socket(bare) as wire:
        _told(wire)
        wire.sendall(b'AUTHENTICATE "PLAIN" "%b"\r\n' % base64.b64encode(plain(who, target)))
        assert _told(wire).startswith("OK") == acts_as(world, who, target), "AUTHENTICATE"


def _told(wire: socket.socket) -> str:
    """The line that ends an answer (RFC 5804 1.2)."""
    text = b""
    while True:
        part = wire.recv(4096)
        text += part
        last = text.rstrip(b"\r\n").rpartition(b"\r\n")[2]
        if not part or (text.endswith(b"\r\n") and last.startswith((b"OK", b"NO", b"BYE"))):
            return last.decode()


def autodiscover_row(world, who: str, target: str) -> None:
    """A program opens another's mailbox by itself only where its user may do everything in it."""
    schema = "http://schemas.microsoft.com/exchange/autodiscover/outlook"
    status, text = _web(
        world,
        who,
        "POST",
        "/autodiscover/autodiscover.xml",
        f'<Autodiscover xmlns="{schema}/requestschema/2006"><Request><EMailAddress>{who}@example.org</EMailAddress>'
        f"<AcceptableResponseSchema>{schema}/responseschema/2006a</AcceptableResponseSchema></Request></Autodiscover>",
    )
    assert status == 200
    mapped = f"{target}@example.org" in text.partition("<AlternativeMailbox>")[2]
    full = who != target and world.may(who, MailboxRight.FULL_ACCESS, target)
    assert not mapped or full, "AlternativeMailbox"
    assert mapped == (full and who == "full"), "given to a person, not by way of a group"


def oab_row(world, who: str, target: str) -> None:
    """Nothing of it is anybody's own: whoever signs in gets it (or is told that it is not made yet)."""
    assert _web(world, who, "GET", "/OAB/oab.xml")[0] in (200, 503)
    assert _web(world, None, "GET", "/OAB/oab.xml")[0] == 401


def calendar_row(world, who: str, target: str) -> None:
    """What is not published is there for nobody, whatever rights somebody has: it is for strangers."""
    for user in (who, None):
        assert _web(world, user, "GET", f"/calendar/{target}@example.org/calendar.ics")[0] == 404


ROWS = {
    "autodiscover": autodiscover_row,
    "calendar": calendar_row,
    "ews": ews_row,
    "http": http_row,
    "imap": imap_row,
    "ldap": ldap_row,
    "managesieve": managesieve_row,
    "oab": oab_row,
    "pop3": pop3_row,
    "smtp": smtp_row,
}


def test_a_policys_limits_hold_for_what_is_submitted(world):
    async def limit(**limits):
        parts = await _open(world.server.settings)
        await parts.directory.put_policy(Policy("default", **limits))
        await parts.close()

    message = "From: owner@example.org\r\n\r\nx\r\n"
    for limits, code in (({"max_message_bytes": 10}, 552), ({"max_recipients": 1}, 250), ({}, 250)):
        asyncio.run(limit(**limits))
        with smtplib.SMTP_SSL("127.0.0.1", world.server.ports["submissions"], context=insecure(), timeout=60) as client:
            client.login("owner@example.org", PASSWORD)
            assert _send(client, "owner@example.org", message) == code
            if "max_recipients" in limits:
                client.mail("owner@example.org")
                client.rcpt("nobody@example.org")
                client.rcpt("owner@example.org")
                assert client.data(message)[0] == 550


def test_every_front_end_has_a_row():
    found = {module.name for module in pkgutil.iter_modules(frontends.__path__) if module.ispkg}
    assert found == set(ROWS), "a front end without a row in the rights matrix, or a row without one"


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("front_end", sorted(ROWS))
def test_front_ends_do_what_may_says(world, front_end, target):
    for who in PEOPLE:
        try:
            ROWS[front_end](world, who, target)
        except AssertionError as wrong:
            raise AssertionError(f"{front_end}: {who} on {target}: {wrong}") from wrong

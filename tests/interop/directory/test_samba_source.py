"""A domain of Active Directory (Samba): found by DNS, synchronised by USN, asked for passwords; nothing stays in it."""

from __future__ import annotations

import contextlib
import ssl
import time

import msgspec
import pytest
from tests.interop import directory_servers as ds

from postern.directory.interface import RecipientKind
from postern.ldapsource.connection import Controller, bound, opened
from postern.ldapsource.failures import Denied, Refused, Unavailable
from postern.ldapsource.settings import SourceSettings
from postern.ldapsource.verifying import PasswordSources
from postern.model.refusal import Refusal
from postern.protocols.ldap import operations as op

pytestmark = pytest.mark.interop
PHOTO = b"\xff\xd8\xff\xe0" + bytes(range(256)) * 4
OU = "OU=Postern Source"
FILETIME_OF_2001 = str((978_307_200 + 11_644_473_600) * 10**7).encode()


def filetime(seconds: float) -> bytes:
    return str(int((seconds + 11_644_473_600) * 10**7)).encode()


class Domain:
    """An OU of its own in the shared domain, filled over LDAPS as Administrator."""

    def __init__(self, controller):
        self.controller = controller
        self.base = f"{OU},{controller.base}"

    @contextlib.asynccontextmanager
    async def session(self):
        context = ssl.create_default_context(cafile=str(self.controller.authority))
        settings = SourceSettings(protection="ldaps")
        where = Controller(self.controller.host, 636)
        connection = await opened(where, self.controller.address, settings, context)
        await bound(connection, f"Administrator@{self.controller.domain}", self.controller.password)
        try:
            yield connection
        finally:
            connection.close()

    async def do(self, *requests):
        async with self.session() as connection:
            for request in requests:
                result = await connection.run(connection.session.change(request))
                assert result.ok, (request, result)

    def dn(self, name):
        return f"CN={name},{self.base}"

    def user(self, name, password="Secret-1234", **attributes):
        more = {key: value if isinstance(value, tuple) else (value,) for key, value in attributes.items()}
        return op.AddRequest(
            self.dn(name),
            {
                "objectClass": (b"user",),
                "sAMAccountName": (name.lower().replace(" ", ".").encode(),),
                "userAccountControl": (b"512",),
                "unicodePwd": (f'"{password}"'.encode("utf-16-le"),),
                **more,
            },
        )

    def replace(self, name, **attributes):
        changes = tuple((op.Change.REPLACE, key, (value,) if value else ()) for key, value in attributes.items())
        return op.ModifyRequest(self.dn(name), changes)

    def settings(self, tmp_path, **changes):
        secret = tmp_path / "secret"
        secret.write_text(self.controller.password)
        facts = {
            "domain": self.controller.domain, "trust": str(self.controller.authority), "base": self.base,
            "user": f"Administrator@{self.controller.domain}", "password_file": str(secret),
        }  # fmt: skip
        return SourceSettings(**{**facts, **changes})

    def mirrored(self, tmp_path, **changes):
        settings = self.settings(tmp_path, **changes)
        return ds.mirrored(tmp_path, settings, kind="ad", nameserver=self.controller.address)


@pytest.fixture
async def domain(domain_controller):
    made = Domain(domain_controller)
    await made.do(op.AddRequest(made.base, {"objectClass": (b"organizationalUnit",)}))
    yield made
    async with made.session() as connection:
        found = [page async for page in connection.pages(op.SearchRequest(made.base, attributes=("1.1",)), 500)]
        names = sorted((entry.dn for page in found for entry in page), key=lambda dn: -dn.count(","))
        for dn in names:
            await connection.run(connection.session.change(op.DeleteRequest(dn)))


async def test_accounts_contacts_and_groups(domain, tmp_path):
    next_year = time.time() + 31_536_000
    await domain.do(
        domain.user("Boss", mail=b"boss@corp.example.org", displayName="Начальник".encode()),
        domain.user(
            "Anna Berzina", mail=b"olga@corp.example.org", givenName=b"Olga", sn=b"Berzina", department=b"Sales",
            title=b"Engineer", manager=domain.dn("Boss").encode(), thumbnailPhoto=PHOTO,
            proxyAddresses=(b"SMTP:a.berzina@corp.example.org", b"smtp:anna.b@corp.example.org", b"x500:/o=old"),
            accountExpires=filetime(next_year), userPrincipalName=b"olga@login.example.org",
        ),
        domain.user("Off", mail=b"off@corp.example.org", userAccountControl=b"514"),
        domain.user("Over", mail=b"over@corp.example.org", accountExpires=FILETIME_OF_2001),
        domain.user("Nobody"),
        op.AddRequest(
            domain.dn("Partner"),
            {"objectClass": (b"contact",), "mail": (b"partner@example.net",), "displayName": (b"Partner Ltd",)},
        ),
        op.AddRequest(
            domain.dn("inner"),
            {
                "objectClass": (b"group",), "sAMAccountName": (b"inner",),
                "member": (domain.dn("Anna Berzina").encode(),),
            },
        ),
        op.AddRequest(
            domain.dn("team"),
            {
                "objectClass": (b"group",), "sAMAccountName": (b"team",), "mail": (b"team@corp.example.org",),
                "member": (domain.dn("inner").encode(), domain.dn("Boss").encode()),
            },
        ),
    )  # fmt: skip
    async with domain.mirrored(tmp_path) as (parts, synchroniser, _):
        directory = parts.directory
        report = await synchroniser.run()
        assert (report.full, report.added, report.faulty, report.controller) == (True, 4, 0, domain.controller.host)

        anna = await directory.login("olga@login.example.org")
        assert anna.address == "a.berzina@corp.example.org"
        for name in (
            "corp\\anna.berzina",
            "CORP\\Anna.Berzina",
            "anna.berzina@corp.example.org",
            "olga@corp.example.org",
        ):
            assert await directory.login(name) == anna, name
        assert abs(anna.expires_at - next_year) < 2
        assert anna.password_at is not None
        entry = await directory.entry("anna.b@corp.example.org")
        assert entry.details.department == "Sales"
        assert entry.details.manager == "boss@corp.example.org"
        assert await directory.photo(anna.id) == PHOTO
        assert not (await directory.login("off@corp.example.org")).enabled
        assert (await directory.login("over@corp.example.org")).expires_at == 978_307_200
        assert await directory.login("nobody") is None
        assert (await directory.entry("partner@example.net")).kind is RecipientKind.CONTACT
        # groups of groups: memberOf, as deep as it goes
        assert "team@corp.example.org" in (await directory.groups_of(anna.id)).values()
        assert (await directory.login("boss@corp.example.org")).display_name == "Начальник"


@pytest.mark.parametrize("dirsync", [True, False])
async def test_only_what_changed_is_read_and_deletions_are_noticed(domain, tmp_path, dirsync):
    people = [domain.user(f"P{n}", mail=f"p{n}@corp.example.org".encode()) for n in range(12)]
    await domain.do(*people)
    async with domain.mirrored(tmp_path, dirsync=dirsync) as (parts, synchroniser, _):
        directory = parts.directory
        assert (await synchroniser.run()).added == 12
        report = await synchroniser.run()
        assert report.by_dirsync is dirsync
        assert (report.full, report.read, report.changed, report.removed) == (False, 0, 0, 0)

        before = await directory.login("p1@corp.example.org")
        await domain.do(
            domain.replace("P1", mail=b"married@corp.example.org"),
            domain.replace("P2", userAccountControl=b"514"),
            domain.replace("P3", mail=b""),
            op.DeleteRequest(domain.dn("P4")),
            domain.user("P99", mail=b"p99@corp.example.org"),
        )
        report = await synchroniser.run()
        assert (report.full, report.read, report.added, report.removed) == (False, 3, 1, 2)
        renamed = await directory.login("married@corp.example.org")
        assert (renamed.mailbox, renamed.id) == (before.mailbox, before.id)
        assert not (await directory.login("p2@corp.example.org")).enabled
        assert (await directory.login("p2@corp.example.org")).generation > 0
        assert await directory.login("p3@corp.example.org") is None
        assert await directory.login("p4@corp.example.org") is None
        await domain.do(domain.replace("P2", userAccountControl=b"512"))
        await synchroniser.run()
        assert (await directory.login("p2@corp.example.org")).enabled


async def test_what_dirsync_tells_of_places_and_cookies(domain, tmp_path):
    inner = f"OU=Inner,{domain.base}"
    await domain.do(
        op.AddRequest(inner, {"objectClass": (b"organizationalUnit",)}),
        domain.user("Mover", mail=b"mover@corp.example.org"),
        domain.user("Stays", mail=b"stays@corp.example.org"),
    )
    async with domain.mirrored(tmp_path, base=inner) as (parts, synchroniser, _):
        assert (await synchroniser.run()).added == 0
        domain.controller.tool("user", "move", "mover", inner)
        report = await synchroniser.run()
        assert (report.by_dirsync, report.added) == (True, 1), "moved into the base, and nothing else about it changed"
        domain.controller.tool("user", "move", "mover", domain.base)
        assert (await synchroniser.run()).removed == 1

        (source,) = await parts.directory.sources()
        state = msgspec.json.decode(source.state)
        state["dirsync"] = dict.fromkeys(state["dirsync"], "AAAA")
        await parts.directory.mirror(source.name, state=msgspec.json.encode(state).decode())
        report = await synchroniser.run()
        assert not report.by_dirsync, "a cookie that is none: by numbers this time"
        await synchroniser.run()
        assert (await synchroniser.run()).by_dirsync


async def test_a_service_account_without_privileges_notices_deletions_too(domain, tmp_path):
    await domain.do(
        domain.user("svc"), *(domain.user(f"Q{n}", mail=f"q{n}@corp.example.org".encode()) for n in range(4))
    )
    (tmp_path / "svc").write_text("Secret-1234")
    changes = {"user": f"svc@{domain.controller.domain}", "password_file": str(tmp_path / "svc")}
    async with domain.mirrored(tmp_path, **changes) as (parts, synchroniser, _):
        await synchroniser.run()
        await domain.do(op.DeleteRequest(domain.dn("Q1")), domain.replace("Q2", title=b"Chief"))
        assert not (await synchroniser.run()).by_dirsync, "that is for accounts that may replicate"
        (source,) = await parts.directory.sources()
        state = msgspec.json.decode(source.state)
        state["swept_at"] = 0  # the time has come to look for what is gone
        await parts.directory.mirror(source.name, state=msgspec.json.encode(state).decode())
        await synchroniser.run()
        assert await parts.directory.login("q1@corp.example.org") is None
        assert (await parts.directory.entry("q2@corp.example.org")).details.title == "Chief"


async def test_passwords(domain, tmp_path):
    await domain.do(
        domain.user("Olga", mail=b"olga@corp.example.org"),
        domain.user("Off", mail=b"off@corp.example.org"),
        domain.user("Must", mail=b"must@corp.example.org"),
    )
    async with domain.mirrored(tmp_path) as (parts, synchroniser, resolver):
        await synchroniser.run()
        authentication = parts.authentication()
        sources = PasswordSources(parts.directory, resolver, parts.clock, parts.entropy)
        authentication.password_sources = sources

        async def sign_in(name, password, peer="192.0.2.1"):
            return (await authentication.verify_password(name, password, peer, "imap")).address

        try:
            assert await sign_in("corp\\olga", "Secret-1234") == "olga@corp.example.org"
            account = await parts.directory.login("olga@corp.example.org")
            source = sources.get("elsewhere")
            for wrong in ("Secret-1235", "", "\0", "Secret-1234\0"):
                assert not await source.verify(account, wrong)
            # disabled in the domain a moment ago: its controller knows before we do
            await domain.do(domain.replace("Off", userAccountControl=b"514"), domain.replace("Must", pwdLastSet=b"0"))
            with pytest.raises(Refusal, match="bad_credentials"):
                await sign_in("off@corp.example.org", "Secret-1234")
            with pytest.raises(Refusal, match=r"password_expired|bad_credentials"):
                await sign_in("must@corp.example.org", "Secret-1234")
            # renamed in the domain, and not yet synchronised
            await domain.do(op.ModifyRequest(domain.dn("Olga"), ((op.Change.REPLACE, "title", (b"x",)),)))
            # a new password ends what the cache knows as soon as it is synchronised
            generation = account.generation
            await domain.do(domain.replace("Olga", unicodePwd='"Changed-1234"'.encode("utf-16-le")))
            assert await sign_in("olga@corp.example.org", "Secret-1234") == "olga@corp.example.org"  # remembered
            await synchroniser.run()
            assert (await parts.directory.login("olga@corp.example.org")).generation > generation
            assert await sign_in("olga@corp.example.org", "Changed-1234") == "olga@corp.example.org"
            assert not await sources.get("elsewhere").verify(account, "wrong")
        finally:
            sources.close()
            authentication.close()


@pytest.mark.parametrize(
    "changes",
    [
        {"protection": "ldaps"},
        {"protection": "starttls", "global_catalog": True},
        {"protection": "ldaps", "global_catalog": True},
        {"protection": "starttls", "site": "Default-First-Site-Name"},
        {"protection": "starttls", "site": "No-Such-Site"},
    ],
    ids=str,
)
async def test_ways_to_the_controller(domain, tmp_path, changes):
    await domain.do(domain.user("Olga", mail=b"olga@corp.example.org"))
    async with domain.mirrored(tmp_path, **changes) as (_, synchroniser, _):
        report = await synchroniser.run()
        assert report.added == 1
        (finding,) = await synchroniser.controllers.survey()
        assert (finding.error, finding.site) == ("", "Default-First-Site-Name")


async def test_signed_and_sealed_by_kerberos(domain, tmp_path, monkeypatch):
    pytest.importorskip("gssapi", reason="gssapi is not installed: pip install -e '.[kerberos]'")
    monkeypatch.setenv("KRB5_CONFIG", str(domain.controller.krb5_conf))
    with contextlib.suppress(AssertionError):  # it is there from an earlier run
        domain.controller.tool("spn", "add", f"ldap/{domain.controller.host}", "dc1$")
    await domain.do(domain.user("Olga", mail=b"olga@corp.example.org"))
    user = f"Administrator@{domain.controller.realm}"
    async with domain.mirrored(tmp_path, protection="gssapi", trust="", user=user) as (_, synchroniser, _):
        sent, wrap = [], {}
        connection = await synchroniser.controllers.connect()
        wrap["layer"] = connection.layer.wrap

        def spying(data):
            sent.append((data, wrap["layer"](data)))
            return sent[-1][1]

        connection.layer.wrap = spying
        entry = await connection.entry(op.SearchRequest(domain.dn("Olga"), op.Scope.BASE, attributes=("mail",)))
        connection.close()
        assert entry.attributes["mail"] == (b"olga@corp.example.org",)
        assert sent
        assert all(b"Postern Source" not in sealed for _, sealed in sent)
        assert (await synchroniser.run()).added == 1
        (tmp_path / "secret").write_text("wrong")
        with pytest.raises((Denied, Unavailable), match=r"Kerberos|sign in"):
            await synchroniser.controllers.connect()


async def test_references_and_referrals_are_not_followed(domain, tmp_path):
    await domain.do(domain.user("Olga", mail=b"olga@corp.example.org"))
    async with domain.mirrored(tmp_path, base="DC=other,DC=example,DC=net") as (parts, synchroniser, _):
        with pytest.raises(Refused, match=r"not followed|noSuchObject"):
            await synchroniser.run()
        assert await parts.directory.accounts() == []

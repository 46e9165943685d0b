"""A directory on OpenLDAP: synchronised by RFC 4533 and by modifyTimestamp, asked for passwords."""

from __future__ import annotations

import time

import msgspec
import pytest
import trustme
from tests.interop import directory_servers as ds

from postern.directory.interface import Source
from postern.directory.sqlite import SqliteDirectory
from postern.ldapsource.failures import Denied, Refused, SourceFailure, Unavailable
from postern.ldapsource.settings import written
from postern.ldapsource.synchronising import Suspicious
from postern.ldapsource.verifying import PasswordSources
from postern.model.refusal import Refusal

pytestmark = pytest.mark.interop
COUNT = 300
PEOPLE = f"ou=people,{ds.BASE}"
GROUPS = f"ou=groups,{ds.BASE}"


@pytest.fixture(scope="module")
def authority():
    return trustme.CA()


@pytest.fixture(params=["log", "present", "timestamps"])
def server(request, authority):
    """A session log names what was deleted, without it the server names what is left; or no such extension at all."""
    how = {"log": {"log": 1000}, "present": {}, "timestamps": {"sync": False}}[request.param]
    with ds.slapd(authority, ds.people(COUNT), **how) as (port, ca):
        yield request.param, port, ca


async def test_everything_then_changes_only(server, tmp_path):
    how, port, ca = server
    async with ds.mirrored(tmp_path, ds.reader_settings(tmp_path, port, ca)) as (parts, synchroniser, _):
        directory: SqliteDirectory = parts.directory
        report = await synchroniser.run()
        assert (report.full, report.read, report.added) == (True, COUNT + COUNT // 50, COUNT)
        account = await directory.login("u7")
        assert (account.address, account.source) == ("u7@example.org", "elsewhere")
        assert await directory.login("user.7@example.org") == account
        found = await directory.entry("u123@example.org")
        assert (found.display_name, found.details.department) == ("User Number 123", "D3")
        assert found.details.manager == "u12@example.org"
        assert len(await directory.groups()) == COUNT // 50
        assert set((await directory.groups_of(account.id)).values()) == {
            group.address for group in await directory.groups() if "u7@example.org" in group.members
        }
        if how == "timestamps":
            time.sleep(1.1)

        report = await synchroniser.run()
        assert (report.full, report.added, report.changed, report.removed) == (False, 0, 0, 0)

        ds.modify(
            port,
            f"dn: uid=u3,{PEOPLE}\nchangetype: modify\nreplace: title\ntitle: Director\n\n"
            f"dn: uid=u4,{PEOPLE}\nchangetype: delete\n\n"
            f"dn: uid=u5,{PEOPLE}\nchangetype: modrdn\nnewrdn: uid=u5new\ndeleteoldrdn: 1\n\n"
            f"dn: uid=u5new,{PEOPLE}\nchangetype: modify\nreplace: mail\nmail: married@example.org\n\n"
            f"dn: uid=new,{PEOPLE}\nchangetype: add\nobjectClass: inetOrgPerson\nuid: new\ncn: New (One) *\nsn: x\n"
            f"mail: new@example.org\n\n"
            f"dn: cn=g0,{GROUPS}\nchangetype: modify\nadd: member\nmember: uid=new,{PEOPLE}\n",
        )
        before = await directory.login("u5@example.org")
        if how == "timestamps":
            synchroniser = await swept(parts, synchroniser)
        report = await synchroniser.run()
        assert not report.full
        assert (report.added, report.removed) == (1, 1)
        # everything was loaded in the newest second, which is read again
        assert how == "timestamps" or report.read < COUNT // 2
        assert (await directory.entry("u3@example.org")).details.title == "Director"
        assert await directory.login("u4") is None
        renamed = await directory.login("married@example.org")
        assert renamed.mailbox == before.mailbox
        assert await directory.login("u5new") == renamed
        new = await directory.login("new")
        assert "new@example.org" in {
            member for group in await directory.groups() for member in group.members if new is not None
        }
        # whoever fits no more is gone too
        ds.modify(port, f"dn: uid=u6,{PEOPLE}\nchangetype: modify\ndelete: mail\n")
        if how == "timestamps":
            synchroniser = await swept(parts, synchroniser)
        report = await synchroniser.run()
        assert report.removed == 1
        assert await directory.login("u6") is None


async def swept(parts, synchroniser):
    """As if the time had come to look for what is gone."""
    (source,) = await parts.directory.sources()
    state = msgspec.json.decode(source.state)
    state["swept_at"] = 0
    await parts.directory.mirror(source.name, state=msgspec.json.encode(state).decode())
    return synchroniser


@pytest.fixture(scope="module")
def steady(authority):
    with ds.slapd(authority, ds.people(60), log=100) as found:
        yield found


async def test_passwords_are_checked_by_a_bind(steady, tmp_path):
    port, ca = steady
    async with ds.mirrored(tmp_path, ds.reader_settings(tmp_path, port, ca)) as (parts, synchroniser, resolver):
        await synchroniser.run()
        authentication = parts.authentication()
        sources = PasswordSources(parts.directory, resolver, parts.clock, parts.entropy)
        authentication.password_sources = sources
        try:
            principal = await authentication.verify_password("u9", "pw-9", "192.0.2.1", "imap")
            assert principal.address == "u9@example.org"
            account = await parts.directory.login("u9")
            source = sources.get("elsewhere")
            assert await source.verify(account, "pw-9")
            # the empty one would be an anonymous bind, which succeeds
            for wrong in ("pw-8", "", "\0", "pw-9\0", "pw-9 ", "x" * 10_000, "\udcff"):
                assert not await source.verify(account, wrong), wrong
            # names that mean something in filters and DNs find nobody
            for name in ("*", "u*", "u9)(uid=*", "u9,ou=people", "u9\0", "uid=u9," + PEOPLE, "(|(uid=*))"):
                assert await parts.directory.login(name) is None, name
            # moved, and not yet synchronised
            ds.modify(port, f"dn: uid=u9,{PEOPLE}\nchangetype: modrdn\nnewrdn: uid=u9x\ndeleteoldrdn: 1\n")
            assert await source.verify(account, "pw-9")
            # a source that is left knows no passwords
            await parts.directory.delete_source("elsewhere")
            with pytest.raises(Refusal, match="try_later"):
                await source.verify(account, "pw-9")
        finally:
            sources.close()
            authentication.close()


async def test_what_is_wrong_is_said(steady, authority, tmp_path):
    port, ca = steady
    good = ds.reader_settings(tmp_path, port, ca)
    other = tmp_path / "other.pem"
    trustme.CA().cert_pem.write_to_path(other)
    (tmp_path / "wrong").write_text("wrong")
    (tmp_path / "empty").write_text("\n")
    cases = [
        ({"trust": str(other)}, Unavailable, "certificate"),
        ({"password_file": str(tmp_path / "wrong")}, Denied, "may not sign in"),
        ({"password_file": str(tmp_path / "empty")}, SourceFailure, "no password"),
        ({"servers": ("127.0.0.1:1",)}, Unavailable, "127.0.0.1:1"),
        ({"base": "ou=nowhere,dc=example,dc=org"}, Refused, "noSuchObject"),
        ({"base": "dc=other"}, Refused, "noSuchObject"),
        ({"protection": "ldaps"}, Unavailable, "127.0.0.1"),
    ]
    for changes, kind, words in cases:
        (tmp_path / "data").mkdir(exist_ok=True)
        settings = msgspec.structs.replace(good, timeout_s=2.0, connect_timeout_s=1.0, **changes)
        async with ds.mirrored(tmp_path / "data", settings) as (parts, synchroniser, _):
            with pytest.raises(kind, match=words):
                await synchroniser.run()
            (source,) = await parts.directory.sources()
            assert words in msgspec.json.decode(source.state)["error"]


async def test_a_filter_that_empties_everything_is_not_believed(steady, tmp_path):
    port, ca = steady
    settings = ds.reader_settings(tmp_path, port, ca)
    async with ds.mirrored(tmp_path, settings) as (parts, synchroniser, _):
        await synchroniser.run()
        narrow = msgspec.structs.replace(settings, filter="(l=Nowhere)")
        await parts.directory.put_source(Source("elsewhere", "ldap", settings=written(narrow)))
        synchroniser.controllers.settings = narrow
        with pytest.raises(Suspicious, match="60 of 62"):
            await synchroniser.run()
        assert (await parts.directory.login("u1")).enabled
        report = await synchroniser.run(force=True)
        assert report.removed == 60
        assert await parts.directory.login("u1") is None
        assert len(await parts.directory.disconnected()) == 60

"""What entries say, and what becomes of them."""

from __future__ import annotations

import contextlib
import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postern.directory.objects import RecipientKind
from postern.ldapsource import values
from postern.ldapsource.active_directory import wanted as wanted_of_ad
from postern.ldapsource.ad_mapping import AdMapping, DomainFacts
from postern.ldapsource.failures import SourceFailure
from postern.ldapsource.ldap_mapping import LdapMapping
from postern.ldapsource.reading import Completing
from postern.ldapsource.settings import SourceSettings, State, meaning_of, read, state_of, written
from postern.model.refusal import Refusal
from postern.protocols.ldap import content_sync, filters, names
from postern.protocols.ldap.operations import Control, SearchEntry, Unknown

GUID = uuid.UUID("820c84f5-b6f8-4d2c-b428-ae1e4e0d1d01")
DN = "CN=Anna,OU=People,DC=corp,DC=example,DC=org"
DOMAINS = [DomainFacts("DC=example,DC=org", "example.org", "TOP"), DomainFacts("DC=corp,DC=example,DC=org", "corp.example.org", "CORP")]  # fmt: skip  # noqa: E501
DAY = 86400.0
NOW = 1_700_000_000.0


def filetime(seconds):
    return str(int((seconds + 11_644_473_600) * 10**7)).encode()


def user(**more):
    facts = {
        "objectguid": (GUID.bytes_le,), "objectclass": (b"top", b"person", b"user"), "mail": (b"Anna@Example.org",),
        "samaccountname": (b"Anna",), "useraccountcontrol": (b"512",), "cn": (b"Anna",),
    }  # fmt: skip
    return {**facts, **{name: value if isinstance(value, tuple) else (value,) for name, value in more.items()}}


def mapped(attributes, **changes):
    facts = {"lockout_s": 1800.0, "now": NOW, **changes}
    return AdMapping(DOMAINS, **facts).entry(DN, attributes, lambda dn: "boss@example.org" if "Boss" in dn else "")


def test_an_account():
    found = mapped(
        user(proxyaddresses=(b"smtp:a@example.org", b"SMTP:main@example.org", b"sip:x@example.org", b"smtp:no"))
    )
    entry = found.entry
    assert (found.anchor, entry.kind, entry.address) == (str(GUID), RecipientKind.USER, "main@example.org")
    assert entry.proxies == ("a@example.org", "anna@example.org")
    # of the domain that it is in, not of the one above
    assert entry.login_names == ("anna", "anna@corp.example.org", "corp\\anna")
    assert entry.enabled


@pytest.mark.parametrize(
    ("more", "kind"),
    [
        ({"msexchrecipienttypedetails": b"1"}, RecipientKind.USER),
        ({"msexchrecipienttypedetails": b"4"}, RecipientKind.SHARED),
        ({"msexchrecipienttypedetails": b"16"}, RecipientKind.ROOM),
        ({"msexchrecipienttypedetails": b"32"}, RecipientKind.EQUIPMENT),
        ({"msexchrecipienttypedetails": b"128", "targetaddress": b"SMTP:x@example.net"}, RecipientKind.CONTACT),
        ({"msexchrecipienttypedetails": b"2147483648"}, RecipientKind.CONTACT),
        ({"targetaddress": b"SMTP:x@example.net"}, RecipientKind.CONTACT),
        ({"targetaddress": b"SMTP:x@example.net", "homemdb": b"CN=DB1"}, RecipientKind.USER),
        ({"objectclass": (b"top", b"contact")}, RecipientKind.CONTACT),
        ({"objectclass": (b"top", b"group")}, RecipientKind.GROUP),
    ],
)
def test_kinds_of_recipients(more, kind):
    entry = mapped(user(**more)).entry
    assert entry.kind is kind
    if kind is RecipientKind.CONTACT and "targetaddress" in more:
        assert entry.target == "x@example.net"


def test_what_is_nothing_here():
    assert mapped(user(objectclass=(b"user", b"computer"))).entry is None
    assert mapped(user(mail=b"")).entry is None
    assert mapped(user(mail=b""), mail_domain="example.org").entry.address == "anna@example.org"
    assert mapped(user(isdeleted=b"TRUE")).entry is None
    assert mapped(user(objectguid=b"short")).anchor == ""


@pytest.mark.parametrize(
    ("more", "enabled", "until"),
    [
        ({"useraccountcontrol": b"514"}, False, None),
        ({"lockouttime": filetime(NOW - 60)}, False, NOW + 1740),
        ({"lockouttime": filetime(NOW - 1801)}, True, None),
        ({"lockouttime": b"0"}, True, None),
        ({"useraccountcontrol": b"rubbish"}, True, None),
    ],
)
def test_disabled_and_locked(more, enabled, until):
    found = mapped(user(**more))
    assert found.entry.enabled is enabled
    assert found.locked_until == (until if until is None else pytest.approx(until))


def test_locked_until_somebody_unlocks_it():
    assert mapped(user(lockouttime=filetime(NOW - 10**7)), lockout_s=None).locked_until == float("inf")


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (b"0", None),
        (b"9223372036854775807", None),
        (filetime(978_307_200.0), 978_307_200.0),
        (b"-1", None),
        (b"x", None),
    ],
)
def test_when_accounts_expire(value, seconds):
    assert mapped(user(accountexpires=value)).entry.expires_at == seconds


def test_details_pictures_forwarding_and_the_mailbox_of_exchange():
    entry = mapped(
        user(
            manager=b"CN=Boss", altrecipient=b"CN=Boss", deliverandredirect=b"TRUE", extensionattribute3=b"gold",
            thumbnailphoto=b"\xff\xd8\xff1", msexchmailboxguid=GUID.bytes_le, department=b"Sales",
            msexchhidefromaddresslists=b"TRUE",
        )
    ).entry  # fmt: skip
    assert (entry.details.manager, entry.details.custom, entry.details.department) == ("boss@example.org", {"3": "gold"}, "Sales")  # fmt: skip  # noqa: E501
    assert (entry.forward_to, entry.forward_keep, entry.hidden) == (("boss@example.org",), True, True)
    assert (entry.photo, entry.mailbox) == (b"\xff\xd8\xff1", GUID.hex)
    assert mapped(user(thumbnailphoto=b"GIF89a")).entry.photo is None
    assert mapped(user(thumbnailphoto=b"\xff\xd8\xff" + bytes(200_000))).entry.photo is None


def test_people_and_groups_of_other_servers():
    facts = {
        "entryuuid": (str(GUID).upper().encode(),), "objectclass": (b"inetOrgPerson",), "uid": (b"Anna", b"ann"),
        "mail": (b"anna@example.org", b"a@example.org"), "cn": (b"Anna",), "shadowexpire": (b"10",),
    }  # fmt: skip
    mapping = LdapMapping()
    entry = mapping.entry("uid=anna, dc=example", facts, lambda _: "").entry
    assert (entry.anchor, entry.dn, entry.login_names) == (str(GUID), "uid=anna,dc=example", ("ann", "anna"))
    assert (entry.proxies, entry.expires_at, entry.enabled) == (("a@example.org",), 10 * DAY, True)
    for locked in ({"pwdaccountlockedtime": (b"000001010000Z",)}, {"nsaccountlock": (b"TRUE",)}):
        assert not mapping.entry("x", {**facts, **locked}, lambda _: "").entry.enabled
    group = {
        "entryuuid": facts["entryuuid"],
        "objectclass": (b"groupOfNames",),
        "member": (b"uid=b , dc=x", b"uid=a,dc=x"),
    }
    assert mapping.entry("cn=g", group, lambda _: "").entry.members == ("uid=a,dc=x", "uid=b,dc=x")
    assert LdapMapping(all_groups=False).entry("cn=g", group, lambda _: "").entry is None


@given(
    st.dictionaries(
        st.sampled_from([name.lower() for name in AdMapping.attributes]),
        st.lists(st.binary(max_size=30), max_size=3).map(tuple),
    )
)
def test_no_entry_of_a_server_stops_us(attributes):
    for mapping in (AdMapping(DOMAINS, now=NOW), LdapMapping()):
        found = mapping.entry(DN, {"objectclass": (b"user", b"person"), **attributes}, lambda _: "")
        assert found.entry is None or found.anchor


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("19700101000010Z", 10.0), ("19700101000010.5Z", 10.0), ("197001010100+0100", 0.0), ("1970010100Z", 0.0),
        ("19701301000000Z", None), ("now", None),
    ],
)  # fmt: skip
def test_generalized_times(text, seconds):
    assert values.generalized(text) == seconds


# --- ranges


class Server:
    """Answers searches for ranges of members."""

    def __init__(self, members, step, endless=False):
        self.members, self.step, self.endless = members, step, endless
        self.controller = "dc1"

    async def fetch(self, requests):
        return [None] * len(requests)

    async def entry(self, request):
        (wanted,) = request.attributes
        first = int(wanted.partition("=")[2].partition("-")[0])
        some = self.members[first : first + self.step]
        end = "*" if first + self.step >= len(self.members) and not self.endless else str(first + self.step - 1)
        return SearchEntry(request.base, {f"member;range={first}-{end}": tuple(some)})


def group(first):
    return SearchEntry(
        DN,
        {
            "objectClass": (b"group",), "objectGUID": (GUID.bytes_le,), "cn": (b"g",), "member": (),
            "member;range=0-1": tuple(first),
        },
    )  # fmt: skip


async def test_members_that_come_in_ranges():
    members = [f"CN=u{n}".encode() for n in range(7)]
    completing = Completing(Server(members, 2), SourceSettings(), AdMapping(DOMAINS))
    batch = await completing.batch([group(members[:2])])
    assert batch.entries[0].members == tuple(member.decode() for member in members)


async def test_ranges_without_an_end_are_refused(monkeypatch):
    monkeypatch.setattr("postern.ldapsource.reading.MEMBERS_LIMIT", 50)
    completing = Completing(Server([b"CN=u"] * 100, 10, endless=True), SourceSettings(), AdMapping(DOMAINS))
    with pytest.raises(SourceFailure, match="does not end"):
        await completing.batch([group([b"a", b"b"])])


# --- settings, names, filters


def test_other_settings_mean_that_everything_is_read_again():
    settings = SourceSettings(domain="corp.example.org")
    state = State(meaning=meaning_of(settings), usn={"x": 5}, run=3)
    import msgspec

    text = msgspec.json.encode(state).decode()
    assert state_of(text, settings) == state
    assert state_of(text, SourceSettings(domain="corp.example.org", interval_s=5)) == state
    assert state_of(text, SourceSettings(domain="corp.example.org", filter="(l=Riga)")).usn == {}
    assert state_of("{", settings).usn == {}
    assert read(written(settings)) == settings
    with pytest.raises(Refusal, match="bad_value"):
        read('{"protection": "rot13"}')


def test_an_administrators_filter_stays_one_term():
    text = filters.render(wanted_of_ad(SourceSettings(filter="(|(l=Riga)(l=Berlin))")))
    assert "(|(l=Riga)(l=Berlin))" in text
    for bad in ("(l=Riga)(cn=*)", "l=Riga", "(l=Riga))(|(cn=*"):
        with pytest.raises(ValueError, match="filter"):
            wanted_of_ad(SourceSettings(filter=bad))


@given(st.text(max_size=30))
def test_escaped_values_in_names_add_no_part(value):
    escaped = names.escape(value)
    assert names.within(f"cn={escaped},dc=x", "dc=x")
    if "," not in value:
        assert names.tidy(f"cn={escaped},dc=x").endswith(",dc=x")


def test_names():
    assert names.within("CN=A, OU=B ,DC=Corp,DC=org", "dc=corp,dc=org")
    assert not names.within("CN=A,DC=othercorp,DC=org", "DC=corp,DC=org")
    assert names.domain_of("CN=a,DC=Corp,DC=example") == "corp.example"
    assert names.base_of("corp.example.org") == "DC=corp,DC=example,DC=org"


# --- content synchronisation


@given(st.binary(max_size=60))
def test_sync_messages_are_read_or_refused(octets):
    from postern.model.refusal import ProtocolViolation

    for read_one in (
        lambda: content_sync.info(Unknown(0x79, octets)),
        lambda: content_sync.entry_state([Control(content_sync.SYNC_STATE, False, octets)]),
        lambda: content_sync.end([Control(content_sync.SYNC_DONE, False, octets)]),
    ):
        with contextlib.suppress(ProtocolViolation):
            read_one()

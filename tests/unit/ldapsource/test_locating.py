"""Which controllers come first, and the answers that say where we are."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postern.ldapsource.connection import Connection, Controller
from postern.ldapsource.controllers import FIRST_REST_S, LOCATE_EVERY_S, Controllers
from postern.ldapsource.failures import Denied, SourceFailure, Unavailable
from postern.ldapsource.locating import controllers, in_order, names, parse, site_of
from postern.ldapsource.settings import SourceSettings
from postern.model.ports import DnsFailure, NoSuchDomain, SrvHost
from postern.model.refusal import ProtocolViolation
from postern.protocols.ldap.results import Result


class Chance:
    def __init__(self, *numbers):
        self.numbers = list(numbers)

    def below(self, limit):
        return min(self.numbers.pop(0), limit - 1) if self.numbers else 0

    def token(self, size):
        return bytes(size)


class Dns:
    def __init__(self, records):
        self.records = records
        self.asked = []
        self.down = False

    async def services(self, name):
        self.asked.append(name)
        if self.down:
            raise DnsFailure("SERVFAIL")
        if name not in self.records:
            raise NoSuchDomain(name)
        return self.records[name]

    async def addresses(self, name):
        return ["192.0.2.1"]


class Clock:
    now_s = 0.0

    def monotonic(self):
        return self.now_s

    def timestamp(self):
        return self.now_s


NEAR = "_ldap._tcp.Riga._sites.dc._msdcs.corp.example.org"
FAR = "_ldap._tcp.dc._msdcs.corp.example.org"
CORP = SourceSettings(domain="corp.example.org")


async def test_the_sites_controllers_come_first():
    near, far = SrvHost(10, 100, 389, "dc3.corp.example.org"), SrvHost(0, 100, 389, "dc1.corp.example.org")
    dns = Dns({NEAR: [near], FAR: [far, near]})
    found = await controllers(CORP, "Riga", dns, Chance())
    assert found == (Controller("dc3.corp.example.org", 389), Controller("dc1.corp.example.org", 389))
    assert dns.asked == [NEAR, FAR, "_ldap._tcp.corp.example.org"]


def test_names_of_the_global_catalogue():
    settings = SourceSettings(domain="example.org.", global_catalog=True)
    assert names(settings, "Riga") == ("_gc._tcp.Riga._sites.example.org", "_gc._tcp.example.org")


async def test_ldaps_goes_to_its_own_port():
    dns = Dns({FAR: [SrvHost(0, 0, 389, "dc1")]})
    settings = SourceSettings(domain="corp.example.org", protection="ldaps")
    assert await controllers(settings, "", dns, Chance()) == (Controller("dc1", 636),)


async def test_nobody_found_is_said_with_what_was_asked():
    with pytest.raises(SourceFailure, match=r"_msdcs\.corp\.example\.org"):
        await controllers(CORP, "", Dns({}), Chance())
    with pytest.raises(SourceFailure, match="neither servers nor a domain"):
        await controllers(SourceSettings(), "", Dns({}), Chance())


def test_priorities_before_weights_and_no_host_is_no_service():
    records = [SrvHost(1, 0, 389, "c"), SrvHost(0, 1, 389, "a"), SrvHost(0, 9, 389, "b"), SrvHost(0, 0, 389, "")]
    assert [one.name for one in in_order(records, Chance(10))] == ["b", "a", "c"]
    assert [one.name for one in in_order(records, Chance(0))] == ["a", "b", "c"]


@pytest.mark.parametrize(
    ("text", "found"),
    [("dc1", ("dc1", 389)), ("DC1:1389", ("dc1", 1389)), ("[::1]:636", ("::1", 636)), ("::1", ("::1", 389))],
)
def test_servers_as_they_are_written(text, found):
    assert parse(text, 389) == found


@pytest.mark.parametrize("text", ["", ":389", "dc1:", "dc1:0", "dc1:65536", "dc1:x", "[::1]:x"])
def test_what_is_no_server(text):
    with pytest.raises(SourceFailure, match="example"):
        parse(text, 389)


def answer(*parts):
    return b"\x17\x00\x00\x00" + bytes(20) + b"".join(parts)


def test_the_site_in_a_compressed_answer():
    forest = b"\x04corp\x07example\x03org\x00"
    again = b"\xc0\x18"
    rest = b"\x03dc1" + again + b"\x04CORP\x00" + b"\x03DC1\x00" + b"\x00" + b"\x04Riga\x00"
    client = b"\x07Tallinn\x00"
    assert site_of(answer(forest, again, rest, client)) == "Tallinn"
    assert site_of(b"\x13\x00" + bytes(30)) == ""


def test_names_that_point_at_themselves_end():
    with pytest.raises(ProtocolViolation, match="does not end"):
        site_of(answer(b"\xc0\x18"))


@given(st.binary(max_size=80))
def test_any_answer_is_read_or_refused(octets):
    with contextlib.suppress(ProtocolViolation):
        assert isinstance(site_of(b"\x17\x00" + octets), str)


class Pool(Controllers):
    """Controllers whose connections are made here."""

    def __init__(self, dns, clock):
        super().__init__(CORP, dns, clock, Chance())
        self.down = set()
        self.denied = False
        self.tried = []

    async def _open(self, controller, *, sign_in=True):
        self.tried.append(controller.host)
        if controller.host in self.down:
            raise Unavailable(f"{controller} is down")
        if self.denied:
            raise Denied("may not sign in", Result(49))
        connection = Connection.__new__(Connection)
        connection.controller = controller
        return connection


@pytest.fixture
def pool():
    clock = Clock()
    return Pool(Dns({FAR: [SrvHost(0, 0, 389, "dc1"), SrvHost(1, 0, 389, "dc2")]}), clock), clock


async def test_fail_over_rest_and_fail_back(pool):
    pool, clock = pool
    assert (await pool.connect()).controller.host == "dc1"
    pool.down = {"dc1"}
    assert (await pool.connect()).controller.host == "dc2"
    pool.tried.clear()
    assert (await pool.connect()).controller.host == "dc2"
    assert pool.tried == ["dc2"]  # left alone
    assert await pool.any_well()
    pool.down = set()
    clock.now_s += FIRST_REST_S + 1
    assert (await pool.connect()).controller.host == "dc1"  # by itself


async def test_all_down_is_said_of_all_and_each_is_tried_again(pool):
    pool, _ = pool
    pool.down = {"dc1", "dc2"}
    for _ in range(2):
        pool.tried.clear()
        with pytest.raises(Unavailable, match=r"dc1.*dc2|dc2.*dc1"):
            await pool.connect()
        assert sorted(pool.tried) == ["dc1", "dc2"]
    assert not await pool.any_well()
    pool.down = {"dc1"}
    assert (await pool.connect()).controller.host == "dc2"  # a rest is no ban


async def test_a_refused_service_account_is_not_tried_everywhere(pool):
    pool, _ = pool
    pool.denied = True
    with pytest.raises(Denied):
        await pool.connect()
    assert pool.tried == ["dc1"]  # a wrong password at each controller would lock the account


async def test_controllers_known_are_kept_while_dns_is_down(pool):
    pool, clock = pool
    await pool.connect()
    pool._resolver.down = True
    clock.now_s += LOCATE_EVERY_S + 1
    assert (await pool.connect()).controller.host == "dc1"

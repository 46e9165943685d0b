"""A controller that breaks off in the middle of a sign-in: the others are asked, also those that failed before."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from postern.ldapsource.connection import Controller
from postern.ldapsource.controllers import Controllers
from postern.ldapsource.failures import Unavailable
from postern.ldapsource.settings import SourceSettings
from postern.ldapsource.verifying import LdapPasswords
from postern.model.refusal import Refusal
from postern.protocols.ldap.results import Code, Result

FIRST, SECOND = Controller("dc1", 389), Controller("dc2", 389)


class Connection:
    closed = hung_up = False

    def __init__(self, pool, controller):
        self.pool = pool
        self.controller = controller
        self.stream = SimpleNamespace(abort=self.close)

    def close(self):
        self.closed = True

    async def bind(self, name, password):
        self.pool.asked.append(self.controller)
        if self.controller in self.pool.breaking:
            raise Unavailable("the server closed the connection")
        return Result(Code.SUCCESS)


class Pool(Controllers):
    def __init__(self, clock, *breaking):
        super().__init__(SourceSettings(domain="example.org"), None, clock, None)
        self.breaking = breaking
        self.asked = []

    async def locate(self):
        return (FIRST, SECOND)

    async def _open(self, controller, *, sign_in=True):
        return Connection(self, controller)


class Directory:
    async def source_link(self, account):
        return SimpleNamespace(source="corp", dn="CN=anna", anchor="a")


def passwords(*breaking):
    clock = SimpleNamespace(monotonic=lambda: 0.0)
    pool = Pool(clock, *breaking)
    return pool, LdapPasswords(SimpleNamespace(name="corp", kind="ad"), pool, Directory(), clock)


ACCOUNT = SimpleNamespace(id=1, address="anna@example.org")


@pytest.mark.parametrize("failures", [1, 4])
async def test_one_that_failed_before_and_is_back_is_asked(failures):
    pool, checked = passwords(SECOND)
    for _ in range(failures):
        pool.failed(FIRST, "was down")
    assert await checked.verify(ACCOUNT, "word")
    assert pool.asked == [SECOND, FIRST]


async def test_when_all_break_off_it_is_later():
    pool, checked = passwords(FIRST, SECOND)
    with pytest.raises(Refusal):
        await checked.verify(ACCOUNT, "word")
    assert pool.asked == [FIRST, SECOND]

"""What would happen to a sign-in, step by step, asked without a password. The same parts decide as in earnest."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import Enum
from typing import Any

import msgspec

from postern.directory.interface import Account, Directory
from postern.directory.safeguards import RuleAction
from postern.model.networks import parse_address
from postern.model.ports import Clock
from postern.services.access import decide
from postern.services.front_ends import PROTOCOLS as FRONT_END_PROTOCOLS
from postern.services.limits import Limits
from postern.services.login_names import LoginNames
from postern.services.principal import standing


class Outcome(Enum):
    """What lets somebody in."""

    PASSWORD = "password"  # noqa: S105 - the name of an outcome
    CODE = "password-and-code"
    APP_PASSWORD = "app-password"  # noqa: S105 - the name of an outcome
    FRONT_END = "front-end"
    REFUSED = "refused"


class Step(msgspec.Struct, frozen=True):
    """One thing that is asked."""

    name: str
    """front-end, account, standing, lock, mechanism, rule, codes, app-password, password."""
    passed: bool | None
    """None: it decides nothing, or not alone."""
    cause: str = ""
    facts: Mapping[str, Any] = {}


class Explanation(msgspec.Struct, frozen=True):
    """All steps, and what comes of them."""

    outcome: Outcome
    steps: Sequence[Step]


class Question(msgspec.Struct, frozen=True):
    """What is asked about."""

    user: str
    protocol: str
    address: str
    mechanism: str = ""
    """Empty: whichever the client takes."""
    offered: Sequence[str] = ()
    """Mechanisms that the protocol's listeners offer."""
    interactive: bool = False
    """A page that asks for a code, and no program."""
    front_end: str = ""
    """Name of a server that acts for the user; empty: the user signs in."""


async def explain(
    directory: Directory, names: LoginNames, limits: Limits, clock: Clock, question: Question
) -> Explanation:
    """Raises nothing for what is unknown: that is an answer too."""
    account = await names.find(question.user)
    return await _Explaining(directory, limits, clock, question).run(account)


class _Explaining:
    def __init__(self, directory: Directory, limits: Limits, clock: Clock, question: Question) -> None:
        self._directory = directory
        self._limits = limits
        self._clock = clock
        self._asked = question
        self._steps: list[Step] = []
        self._closed = False

    def _note(self, name: str, passed: bool | None, cause: str = "", **facts: Any) -> None:
        self._steps.append(Step(name, passed, cause, facts))
        self._closed = self._closed or passed is False

    async def run(self, account: Account | None) -> Explanation:
        asked = self._asked
        if asked.front_end:
            await self._front_end()
        else:
            self._locks(account)
        if account is None or account.shared:
            cause = "no-account" if account is None else "nobody-signs-in"
            self._note("account", False, cause, user=asked.user)
            return Explanation(Outcome.REFUSED, self._steps)
        self._note("account", True, account=account.address, source=account.source)
        reason = standing(account, asked.protocol, self._clock.timestamp())
        self._note("standing", reason is None, reason.value if reason else "", protocol=asked.protocol)
        if asked.front_end:
            await self._rules(account, acting=True)
            return Explanation(Outcome.REFUSED if self._closed else Outcome.FRONT_END, self._steps)
        await self._mechanism(account)
        action = await self._rules(account)
        codes = bool((await self._directory.safeguards(account.id)).totp)
        app_needed = action is RuleAction.APP_PASSWORD or (codes and not asked.interactive)
        if codes:
            self._note("codes", None, "asked" if asked.interactive else "app-password-needed")
        works = await self._app_passwords(account)
        password = await self._password(account)
        if self._closed:
            return Explanation(Outcome.REFUSED, self._steps)
        if app_needed or not password:
            usable = works and not asked.interactive and _takes_app_passwords(asked.mechanism)
            return Explanation(Outcome.APP_PASSWORD if usable else Outcome.REFUSED, self._steps)
        return Explanation(Outcome.CODE if codes else Outcome.PASSWORD, self._steps)

    async def _front_end(self) -> None:
        """Whether the server may act for users at all."""
        asked, name = self._asked, self._asked.front_end.lower().rstrip(".")
        server = next((one for one in await self._directory.servers() if one.name == name), None)
        if server is None:
            self._note("front-end", False, "no-server", server=name)
        elif not server.front_end:
            self._note("front-end", False, "no-front-end", server=name)
        elif asked.protocol not in FRONT_END_PROTOCOLS:
            self._note("front-end", False, "protocol", server=name, protocol=asked.protocol)
        else:
            proofs = [
                *(("EXTERNAL",) if (server.pins or server.by_authority) and "EXTERNAL" in asked.offered else ()),
                *(("GSSAPI",) if server.principal and "GSSAPI" in asked.offered else ()),
            ]
            self._note("front-end", bool(proofs), "" if proofs else "no-proof", server=name, offered=proofs)

    def _locks(self, account: Account | None) -> None:
        for lock, passes in self._limits.locks(self._limits.counters(account, self._asked.user, self._asked.address)):
            self._note("lock", passes, "familiar" if passes else "locked", key=lock.key, until=lock.until)
        if not self._steps:
            self._note("lock", True, "none")

    async def _mechanism(self, account: Account) -> None:
        asked = self._asked
        wanted = asked.mechanism.upper()
        if not wanted:
            self._note("mechanism", None, "any", offered=list(asked.offered))
            return
        if wanted not in (name.upper() for name in asked.offered):
            self._note("mechanism", False, "not-offered", mechanism=wanted, offered=list(asked.offered))
            return
        if wanted.startswith("SCRAM") and await self._directory.scram(account.id) is None:
            self._note("mechanism", False, "no-keys", mechanism=wanted)
            return
        self._note("mechanism", True, "offered", mechanism=wanted)

    async def _rules(self, account: Account, *, acting: bool = False) -> RuleAction:
        """`acting`: there is no password that an app password could stand for."""
        asked = self._asked
        rules = await self._directory.access_rules()
        groups = await self._directory.groups_of(account.id)
        judged = decide(rules, asked.protocol, asked.address, groups)
        for rule in rules:
            if rule.name == judged.rule:
                passed = {RuleAction.ALLOW: True, RuleAction.DENY: False}.get(rule.action, False if acting else None)
                self._note("rule", passed, "fits", rule=rule.name, action=rule.action.value)
                return judged.action
            missed = rule.misses(asked.protocol, parse_address(asked.address), groups)
            self._note("rule", None, missed, rule=rule.name, action=rule.action.value)
        self._note("rule", True, "none-fits", rules=len(rules))
        return judged.action

    async def _app_passwords(self, account: Account) -> bool:
        asked = self._asked
        any_works = False
        for one in await self._directory.app_passwords(account.id):
            refused = one.refuses(asked.protocol, parse_address(asked.address), self._clock.timestamp())
            any_works = any_works or not refused
            self._note("app-password", None, refused or "works", app_password=one.name)
        return any_works

    async def _password(self, account: Account) -> bool:
        """Whether there is one that is not too old."""
        if account.source:
            self._note("password", True, "elsewhere", source=account.source)
            return True
        if not await self._directory.password_hash(account.id):
            self._note("password", None, "none")
            return False
        expired = account.password_expires_at is not None and account.password_expires_at <= self._clock.timestamp()
        # an app password still works then
        self._note("password", None if expired else True, "expired" if expired else "set")
        return not expired


def _takes_app_passwords(mechanism: str) -> bool:
    """Whether app passwords can be used by a mechanism."""
    return mechanism.upper() in ("", "PLAIN", "LOGIN", "USER", "BASIC") or mechanism.upper().startswith("SCRAM")

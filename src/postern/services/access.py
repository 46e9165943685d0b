"""Whether somebody who proved to be an account's owner may come in by this protocol from there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from postern.directory.interface import Account, Directory
from postern.directory.safeguards import AccessRule, RuleAction, Safeguards
from postern.model.ids import AccountId
from postern.model.networks import parse_address
from postern.services.attempts import Proof

_MAX_CACHED = 20_000

RULE = "rule"
APP_PASSWORD_NEEDED = "app-password-needed"  # noqa: S105 - the name of a cause


class Judgement(NamedTuple):
    """What the rules say."""

    action: RuleAction
    rule: str = ""
    """Name of the rule that decided; empty: none fitted."""


class Bar(NamedTuple):
    """Why somebody stays outside."""

    cause: str
    """RULE or APP_PASSWORD_NEEDED."""
    detail: str
    """Name of the rule, or `one-time codes`."""


class Access:
    """Evaluates access rules, remembered until the directory changes. One per worker."""

    def __init__(self, directory: Directory) -> None:
        self._directory = directory
        self._rules: Sequence[AccessRule] = ()
        self._judged: dict[tuple[AccountId, str, str], Judgement] = {}

    async def judge(self, account: Account, protocol: str, peer_address: str) -> Judgement:
        """The first rule that fits decides."""
        rules = await self._directory.access_rules()
        if not rules:
            return _ALLOWED
        if rules is not self._rules or len(self._judged) >= _MAX_CACHED:
            self._rules = rules
            self._judged.clear()
        key = (account.id, protocol, peer_address)
        judged = self._judged.get(key)
        if judged is None:
            groups = await self._directory.groups_of(account.id)
            judged = self._judged[key] = decide(rules, protocol, peer_address, groups)
        return judged

    async def bar(
        self, account: Account, guards: Safeguards, protocol: str, peer_address: str, proof: Proof
    ) -> Bar | None:
        """What keeps somebody with that proof outside; None: nothing."""
        judged = await self.judge(account, protocol, peer_address)
        if judged.action is RuleAction.DENY:
            return Bar(RULE, judged.rule)
        if judged.action is RuleAction.APP_PASSWORD and proof is not Proof.APP_PASSWORD:
            return Bar(APP_PASSWORD_NEEDED, judged.rule)
        if guards.totp and proof is Proof.PASSWORD:
            return Bar(APP_PASSWORD_NEEDED, "one-time codes")
        return None


_ALLOWED = Judgement(RuleAction.ALLOW)


def decide(rules: Sequence[AccessRule], protocol: str, peer_address: str, groups: Mapping[AccountId, str]) -> Judgement:
    """The first rule that fits. Of an unknown place it is assumed that it is in every forbidden network."""
    address = parse_address(peer_address)
    for rule in rules:
        missed = rule.misses(protocol, address, groups)
        if missed == "network" and address is None and rule.action is not RuleAction.ALLOW:
            group = rule.group_id
            missed = "group" if group is not None and group not in groups else ""
        if not missed:
            return Judgement(rule.action, rule.name)
    return _ALLOWED

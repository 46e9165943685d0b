"""`postern auth rule`: who may sign in by which protocol from where."""

from __future__ import annotations

from typing import Annotated, Any

from cyclopts import App, Parameter

from postern.cli.account_values import parse_protocols
from postern.cli.auth_values import parse_networks
from postern.cli.language import _
from postern.cli.organisation import Config, Json, load_settings, open_directory, run
from postern.cli.output import done, fail, show_list
from postern.directory.interface import ALL_PROTOCOLS
from postern.directory.safeguards import AccessRule, RuleAction

app = App(name="rule", help=_("Rules: who may sign in by which protocol from where."))

Protocols = Annotated[str, Parameter(help=_("Protocols it is about, such as imap,pop3; all without."))]
Networks = Annotated[str, Parameter(help=_("Networks it is about, such as 192.0.2.0/24,2001:db8::/32; all without."))]
Group = Annotated[str, Parameter(help=_("Group whose members it is about; everybody without."))]
Before = Annotated[str, Parameter(help=_("Name of the rule it stands before; without it: the last one."))]


@app.command(
    help=_(
        "Make a rule or replace one: allow, deny or app-password. The first rule that fits decides."
        "\n\nExample: postern auth rule add office allow --networks 192.0.2.0/24"
    )
)
def add(  # noqa: D103 - options are arguments
    name: str,
    action: str,
    /,
    *,
    protocols: Protocols = "",
    networks: Networks = "",
    group: Group = "",
    before: Before = "",
    config: Config = None,
    json: Json = False,
) -> None:
    known = {one.value: one for one in RuleAction}
    if action not in known:
        fail(_("not an action: {text}; known: {known}", text=action, known=", ".join(known)))
    chosen = parse_protocols(protocols) if protocols else ALL_PROTOCOLS
    rule = AccessRule(name, known[action], chosen, parse_networks(networks), group)

    async def work() -> list[dict[str, Any]]:
        async with open_directory(load_settings(config)) as directory:
            await directory.put_access_rule(rule, before)
            return [_facts(one, number) for number, one in enumerate(await directory.access_rules(), 1)]

    made = next(row for row in run(work) if row["rule"] == name)
    done(_("Rule {name} is number {number}.", name=name, number=made["number"]), made, json=json)


@app.command(name="list", help=_("List the rules in their order.\n\nExample: postern auth rule list"))
def list_(*, config: Config = None, json: Json = False) -> None:  # noqa: D103 - help is above
    async def work() -> list[dict[str, Any]]:
        async with open_directory(load_settings(config)) as directory:
            return [_facts(one, number) for number, one in enumerate(await directory.access_rules(), 1)]

    columns = {
        "number": _("NUMBER"),
        "rule": _("RULE"),
        "action": _("ACTION"),
        "protocols": _("PROTOCOLS"),
        "networks": _("NETWORKS"),
        "group": _("GROUP"),
    }
    show_list(run(work), columns, json=json)


@app.command(help=_("Remove a rule.\n\nExample: postern auth rule remove office"))
def remove(name: str, /, *, config: Config = None, json: Json = False) -> None:  # noqa: D103
    async def work() -> None:
        async with open_directory(load_settings(config)) as directory:
            await directory.delete_access_rule(name)

    run(work)
    done(_("Rule {name} is removed.", name=name), {"rule": name, "removed": True}, json=json)


def _facts(rule: AccessRule, number: int) -> dict[str, Any]:
    return {
        "number": number,
        "rule": rule.name,
        "action": rule.action.value,
        "protocols": sorted(rule.protocols),
        "networks": [str(network) for network in rule.networks],
        "group": rule.group,
    }

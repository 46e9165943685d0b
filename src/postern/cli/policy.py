"""`postern policy`: limits that many accounts share."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from cyclopts import App, Parameter

from postern.cli.account_values import parse_protocols, parse_quota
from postern.cli.language import _
from postern.cli.mailbox import Protocols, QuotaText
from postern.cli.organisation import Config, Json, load_settings, open_directory, run
from postern.cli.output import done, fail, parse_size, show_list, size
from postern.directory.interface import Policy

app = App(name="policy", help=_("Limits that many accounts share."))

DAY_S = 86400.0

Size = Annotated[str | None, Parameter(help=_("Largest message that may be sent, such as 20M; `none`."))]
Recipients = Annotated[int | None, Parameter(help=_("Recipients of one message at most; 0: no limit of its own."))]
Length = Annotated[int | None, Parameter(help=_("Characters that a password needs."))]
Classes = Annotated[
    int | None, Parameter(help=_("Kinds of characters that a password needs, of lower, upper, digits, others: 0 to 4."))
]
History = Annotated[int | None, Parameter(help=_("How many of the last passwords may not be used again, up to 24."))]
Lists = Annotated[
    str | None,
    Parameter(help=_("Address lists that the accounts see over LDAP, separated by commas; `all`: every one.")),
]
Age = Annotated[float | None, Parameter(help=_("Days after which a password has to be a new one; 0: never."))]


def _facts(policy: Policy) -> dict[str, Any]:
    return {
        "policy": policy.name,
        "protocols": sorted(policy.protocols),
        "quota_bytes": policy.quota.no_receive_bytes,
        "max_message_bytes": policy.max_message_bytes,
        "max_recipients": policy.max_recipients,
        "min_length": policy.password_min_length,
        "classes": policy.password_classes,
        "history": policy.password_history,
        "max_age_days": policy.password_max_age_s / DAY_S,
        "address_lists": list(policy.address_lists),
    }


@app.command(name="list", help=_("List the policies.\n\nExample: postern policy list"))
def list_(*, config: Config = None, json: Json = False) -> None:  # noqa: D103 - help is above
    async def work() -> list[dict[str, Any]]:
        async with open_directory(load_settings(config)) as directory:
            return [_facts(policy) for policy in await directory.policies()]

    rows = run(work)
    if not json:
        rows = [
            {**row, "quota": size(row["quota_bytes"]), "message": size(row["max_message_bytes"] or None)}
            for row in rows
        ]
    columns = {
        "policy": _("POLICY"),
        "protocols": _("PROTOCOLS"),
        "quota": _("QUOTA"),
        "message": _("MESSAGE"),
        "max_recipients": _("RECIPIENTS"),
        "min_length": _("LENGTH"),
        "max_age_days": _("DAYS"),
    }
    show_list(rows, columns, json=json)


@app.command(
    name="set",
    help=_("Make or change a policy.\n\nExample: postern policy set default --min-length 12 --classes 3 --history 5"),
)
def set_(  # noqa: D103, PLR0913 - one option for each thing that can change
    name: str,
    /,
    *,
    protocols: Protocols = None,
    quota: QuotaText = None,
    max_message: Size = None,
    max_recipients: Recipients = None,
    min_length: Length = None,
    classes: Classes = None,
    history: History = None,
    max_age_days: Age = None,
    address_lists: Lists = None,
    config: Config = None,
    json: Json = False,
) -> None:
    settings = load_settings(config)
    given: dict[str, Any] = {
        "protocols": None if protocols is None else parse_protocols(protocols),
        "quota": None if quota is None else parse_quota(quota, settings),
        "max_message_bytes": _octets(max_message),
        "max_recipients": max_recipients,
        "password_min_length": min_length,
        "password_classes": classes,
        "password_history": history,
        "address_lists": None if address_lists is None else _lists(address_lists),
        "password_max_age_s": None if max_age_days is None else max_age_days * DAY_S,
    }

    async def work() -> Policy:
        async with open_directory(settings) as directory:
            old = next((policy for policy in await directory.policies() if policy.name == name), Policy(name))
            new = msgspec.structs.replace(old, **{key: value for key, value in given.items() if value is not None})
            await directory.put_policy(new)
            return new

    policy = run(work)
    done(_("Policy {name} is set.", name=name), _facts(policy), json=json)


def _lists(text: str) -> tuple[str, ...]:
    return () if text.strip() == "all" else tuple(name.strip() for name in text.split(",") if name.strip())


def _octets(text: str | None) -> int | None:
    if text is None:
        return None
    try:
        return parse_size(text) or 0
    except ValueError:
        fail(_("not a size: {text}; examples: 500M, 2G, none", text=text))


@app.command(help=_("Remove a policy; its accounts have the default one.\n\nExample: postern policy remove interns"))
def remove(name: str, /, *, config: Config = None, json: Json = False) -> None:  # noqa: D103
    async def work() -> None:
        async with open_directory(load_settings(config)) as directory:
            await directory.delete_policy(name)

    run(work)
    done(_("Policy {name} is removed.", name=name), {"policy": name, "removed": True}, json=json)

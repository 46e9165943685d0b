"""`postern auth log`: every sign-in, and every one that failed."""

from __future__ import annotations

from typing import Annotated, Any

from cyclopts import Parameter

from postern.cli.language import _
from postern.cli.moments import moment, parse_moment
from postern.cli.organisation import Config, Json, load_settings
from postern.cli.output import fail, print_json, show_list
from postern.model.networks import parse_network
from postern.roles.parts import SIGN_INS_DIRECTORY
from postern.services.signin_log import SignInQuery, SignInRecord, search

When = Annotated[str, Parameter(help=_("A date, a date with time, or a span such as 2h, 3d (ago)."))]


def log(  # noqa: D103, PLR0913 - help is in the table, options are arguments
    *,
    account: Annotated[str, Parameter(help=_("Whose: an address, or as the log names an unknown one."))] = "",
    source: Annotated[str, Parameter(name="--from", help=_("An address or network, such as 192.0.2.0/24."))] = "",
    protocol: Annotated[str, Parameter(help=_("imap, pop3, smtp, http or ldap."))] = "",
    failed: Annotated[bool, Parameter(negative="", help=_("Only those that failed."))] = False,
    since: When = "",
    until: When = "",
    limit: Annotated[int, Parameter(help=_("Records at most, the newest ones."))] = 1000,
    config: Config = None,
    json: Json = False,
) -> None:
    try:
        query = SignInQuery(
            account=account,
            source=parse_network(source) if source else None,
            protocol=protocol,
            failed=failed,
            since=parse_moment(since) if since else None,
            until=parse_moment(until) if until else None,
            limit=limit,
        )
    except ValueError as problem:
        fail(_("not understood: {reason}", reason=problem), 2)
    try:
        records = search(load_settings(config).data_dir / SIGN_INS_DIRECTORY, query)
    except OSError as problem:
        fail(_("cannot read {file}: {reason}", file=problem.filename, reason=problem.strerror or problem))
    if json:
        print_json([_facts(record) for record in records])
        return
    columns = {
        "when": _("WHEN"),
        "account": _("ACCOUNT"),
        "by": _("BY"),
        "address": _("FROM"),
        "encryption": _("ENCRYPTION"),
        "result": _("RESULT"),
        "cause": _("CAUSE"),
    }
    show_list([_row(record) for record in records], columns, json=False)


def _facts(record: SignInRecord) -> dict[str, Any]:
    """All fields, also empty ones: programs need not ask whether they are there."""
    return {name: getattr(record, name) for name in record.__struct_fields__}


def _row(record: SignInRecord) -> dict[str, str]:
    cause = " ".join(part for part in (record.factor, record.cause, record.detail) if part)
    if record.repeated:
        cause += " " + _("(and {count} more)", count=record.repeated)
    return {
        "when": moment(record.at),
        "account": record.account + (f" > {record.acting_as}" if record.acting_as else ""),
        "by": f"{record.protocol} {record.mechanism}".strip(),
        "address": record.address,
        "encryption": record.tls,
        "result": _("in") if record.ok else _("refused"),
        "cause": cause,
    }

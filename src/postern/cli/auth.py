"""`postern auth`: who signs in, what keeps them out, and what else protects accounts than passwords."""

from __future__ import annotations

from typing import Any

from cyclopts import App

from postern.cli.language import _
from postern.cli.moments import moment
from postern.cli.organisation import Config, Json, existing_account, load_settings, open_directory, open_failures, run
from postern.cli.output import done, show_list
from postern.directory.interface import Account
from postern.model.networks import one_peer, parse_address
from postern.net.clock import SystemClock

app = App(name="auth", help=_("Sign-in: log, locks, app passwords, one-time codes, rules."))
app.command(
    "postern.cli.auth_log:log",
    name="log",
    help=_("Show who signed in, or failed to.\n\nExample: postern auth log --failed --since 2h"),
)
app.command(
    "postern.cli.auth_explain:explain",
    name="explain",
    help=_(
        "Say what would happen to a sign-in and why, without a password."
        "\n\nExample: postern auth explain anna@example.org --protocol imap --from 192.0.2.7"
    ),
)
app.command(
    "postern.cli.auth_app_passwords:app",
    name="app-password",
    help=_("Passwords for one program each."),
)
app.command("postern.cli.auth_totp:app", name="totp", help=_("One-time codes of a telephone (TOTP)."))
app.command("postern.cli.auth_rules:app", name="rule", help=_("Rules: who may sign in by which protocol from where."))


@app.command(help=_("List what is locked after failed sign-ins.\n\nExample: postern auth locks"))
def locks(*, config: Config = None, json: Json = False) -> None:  # noqa: D103 - help is above
    failures = open_failures(load_settings(config))
    try:
        found = failures.locks(SystemClock().timestamp())
    finally:
        failures.close()
    rows: list[dict[str, Any]] = [lock._asdict() for lock in found]
    if not json:
        rows = [{**row, "until": moment(row["until"])} for row in rows]
    show_list(rows, {"key": _("LOCKED"), "until": _("UNTIL"), "times": _("TIMES")}, json=json)


@app.command(
    help=_(
        "Let a user or an address in again after too many failures.\n\nExample: postern auth unlock anna@example.org"
    )
)
def unlock(who: str, /, *, config: Config = None, json: Json = False) -> None:  # noqa: D103
    settings = load_settings(config)

    async def keys() -> list[str]:
        if parse_address(who) is not None:
            return [f"address {one_peer(who)}"]
        async with open_directory(settings) as directory:
            account: Account = await existing_account(directory, who)
            return [f"account {account.address}", f"codes {account.address}"]

    wanted = run(keys)
    failures = open_failures(settings)
    try:
        removed = sum(failures.clear(key) for key in wanted)
    finally:
        failures.close()
    text = _("Failed sign-ins of {who} are forgotten; locks removed: {count}.", who=who, count=removed)
    done(text, {"unlocked": who, "locks": removed}, json=json)

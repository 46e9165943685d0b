"""`postern auth totp`: one-time codes of a telephone (RFC 6238)."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Annotated, Any

from cyclopts import App, Parameter

from postern.cli.language import _
from postern.cli.moments import moment
from postern.cli.organisation import Config, Json, existing_account, load_settings, open_directory, open_failures, run
from postern.cli.output import cell, done, show_one
from postern.config.settings import Settings
from postern.directory.interface import Account
from postern.directory.sqlite import SqliteDirectory
from postern.net.clock import SystemClock, SystemEntropy
from postern.services.second_factor import NewEnrolment, SecondFactor

app = App(name="totp", help=_("One-time codes of a telephone (TOTP)."))

Issuer = Annotated[str, Parameter(help=_("What the telephone calls this server; without it: its host name."))]


@asynccontextmanager
async def _opened(settings: Settings, user: str) -> AsyncIterator[tuple[SqliteDirectory, Account, SecondFactor]]:
    failures = open_failures(settings)
    try:
        async with open_directory(settings) as directory:
            account = await existing_account(directory, user)
            yield directory, account, SecondFactor(directory, failures, SystemClock(), SystemEntropy())
    finally:
        failures.close()


@app.command(
    help=_(
        "Begin: show a QR code for the telephone; the first code given to `confirm` makes it count."
        "\n\nExample: postern auth totp enrol anna@example.org"
    )
)
def enrol(user: str, /, *, issuer: Issuer = "", config: Config = None, json: Json = False) -> None:  # noqa: D103
    settings = load_settings(config)

    async def work() -> tuple[Account, NewEnrolment]:
        async with _opened(settings, user) as (_directory, account, factor):
            return account, await factor.begin(account, issuer or settings.server.hostname)

    account, made = run(work)
    facts = {"account": account.address, "secret": made.secret, "uri": made.uri, "confirmed": False}
    if not json:
        _show_qr(made.uri)
    text = _(
        "Scan this, or type the secret {secret}\n{uri}\nThen: postern auth totp confirm {address} CODE",
        secret=made.secret,
        uri=made.uri,
        address=account.address,
    )
    done(text, facts, json=json)


def _show_qr(uri: str) -> None:
    import segno  # only this command draws

    segno.make(uri, error="m").terminal(out=sys.stdout, compact=True)


@app.command(
    help=_(
        "Give the first code; from then on codes are needed, and programs need app passwords."
        "\n\nExample: postern auth totp confirm anna@example.org 123456"
    )
)
def confirm(user: str, code: str, /, *, config: Config = None, json: Json = False) -> None:  # noqa: D103
    async def work() -> tuple[Account, Sequence[str]]:
        async with _opened(load_settings(config), user) as (_directory, account, factor):
            return account, await factor.confirm(account, code)

    account, codes = run(work)
    _done_with_codes(_("One-time codes of {address} are in use.", address=account.address), account, codes, json)


@app.command(
    help=_(
        "Make new recovery codes; the old ones are worth nothing then."
        "\n\nExample: postern auth totp recovery anna@example.org"
    )
)
def recovery(user: str, /, *, config: Config = None, json: Json = False) -> None:  # noqa: D103
    async def work() -> tuple[Account, Sequence[str]]:
        async with _opened(load_settings(config), user) as (_directory, account, factor):
            return account, await factor.renew_recovery_codes(account)

    account, codes = run(work)
    _done_with_codes(_("{address} has new recovery codes.", address=account.address), account, codes, json)


def _done_with_codes(text: str, account: Account, codes: Sequence[str], json: bool) -> None:
    lines = "\n".join(f"  {code}" for code in codes)
    told = f"{text}\n{_('Recovery codes, each good for one sign-in without the telephone (shown once):')}\n{lines}"
    done(told, {"account": account.address, "confirmed": True, "recovery_codes": list(codes)}, json=json)


@app.command(help=_("Show whether a user has one-time codes.\n\nExample: postern auth totp show anna@example.org"))
def show(user: str, /, *, config: Config = None, json: Json = False) -> None:  # noqa: D103
    async def work() -> dict[str, Any]:
        async with _opened(load_settings(config), user) as (directory, account, _factor):
            found = await directory.enrolment(account.id)
            return {
                "account": account.address,
                "enrolled": found is not None,
                "confirmed": found is not None and found.confirmed_at is not None,
                "confirmed_at": found.confirmed_at if found else None,
                "recovery_codes": found.recovery_codes if found else 0,
            }

    facts = run(work)
    if not json:
        facts["confirmed_at"] = moment(facts["confirmed_at"])
        facts["recovery_codes"] = cell(facts["recovery_codes"])
    labels = {
        "account": _("Account"),
        "confirmed": _("In use"),
        "confirmed_at": _("Since"),
        "recovery_codes": _("Recovery codes left"),
    }
    show_one(facts, labels, json=json)


@app.command(help=_("Ask a user for no codes any more.\n\nExample: postern auth totp remove anna@example.org"))
def remove(user: str, /, *, config: Config = None, json: Json = False) -> None:  # noqa: D103
    async def work() -> Account:
        async with _opened(load_settings(config), user) as (directory, account, _factor):
            await directory.remove_enrolment(account.id)
            return account

    account = run(work)
    text = _("{address} is asked for no one-time codes any more.", address=account.address)
    done(text, {"account": account.address, "removed": True}, json=json)

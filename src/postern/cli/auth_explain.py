"""`postern auth explain`: what would happen to a sign-in, step by step."""

from __future__ import annotations

import asyncio
import sys
from typing import Annotated

import msgspec
from cyclopts import Parameter

from postern.cli.account_values import parse_protocols
from postern.cli.language import _
from postern.cli.moments import moment
from postern.cli.organisation import Config, Json, load_settings, open_directory, open_failures, run
from postern.cli.output import fail, print_json
from postern.config.listeners import listeners
from postern.config.settings import Settings
from postern.model.networks import parse_address
from postern.net.clock import SystemClock
from postern.roles.parts import limit_settings
from postern.services.explaining import Explanation, Outcome, Question, Step
from postern.services.explaining import explain as explain_sign_in
from postern.services.limits import Limits
from postern.services.login_names import LoginNames


def explain(  # noqa: D103 - help is in the table, options are arguments
    user: str,
    /,
    *,
    protocol: Annotated[str, Parameter(help=_("imap, pop3, smtp, http or ldap."))],
    source: Annotated[str, Parameter(name="--from", help=_("The client's IP address."))],
    mechanism: Annotated[str, Parameter(help=_("SASL mechanism, such as PLAIN; without it: any."))] = "",
    page: Annotated[bool, Parameter(negative="", help=_("A web page that can ask for a one-time code."))] = False,
    front_end: Annotated[
        str, Parameter(help=_("A server of the organisation that acts for the user; --from is its address then."))
    ] = "",
    config: Config = None,
    json: Json = False,
) -> None:
    if parse_address(source) is None:
        fail(_("not an IP address: {text}", text=source), 2)
    (wanted,) = parse_protocols(protocol) or fail(_("one protocol is needed"), 2)
    settings = load_settings(config)
    question = Question(user, wanted, source, mechanism, _offered(settings, wanted), page, front_end)

    async def work() -> Explanation:
        failures = open_failures(settings)
        clock = SystemClock()
        try:
            async with open_directory(settings) as directory:
                limits = Limits(failures, clock, limit_settings(settings), asyncio.sleep)
                names = LoginNames(directory, settings.authentication.domains)
                return await explain_sign_in(directory, names, limits, clock, question)
        finally:
            failures.close()

    found = run(work)
    if json:
        print_json({**msgspec.structs.asdict(question), **msgspec.to_builtins(found)})
        return
    for step in found.steps:
        mark = {True: "+", False: "-", None: " "}[step.passed]
        sys.stdout.write(f"{mark} {_words(step)}\n")
    sys.stdout.write(f"= {_(_OUTCOMES[found.outcome])}\n")


def _offered(settings: Settings, protocol: str) -> list[str]:
    """Mechanisms of the protocol's listeners, in their order."""
    found: dict[str, None] = {}
    for one in listeners(settings):
        if one.path.protocol == protocol:
            found |= dict.fromkeys(one.mechanisms)
    return list(found)


_OUTCOMES = {
    Outcome.PASSWORD: "The right password lets them in.",
    Outcome.CODE: "The right password and a one-time code let them in.",
    Outcome.APP_PASSWORD: "Only an app password lets them in; the password is refused as if it were wrong.",
    Outcome.FRONT_END: "The front end opens the mailbox for them.",
    Outcome.REFUSED: "They stay out, whatever password they have.",
}
_STEPS = {
    ("front-end", ""): "{server} may act for users, and proves itself by: {offered}.",
    ("front-end", "no-server"): "There is no server {server}: see `postern server list`.",
    ("front-end", "no-front-end"): "{server} is no front end: `postern server add {server} --front-end` makes it one.",
    ("front-end", "protocol"): "Front ends do not act for users by {protocol}.",
    ("front-end", "no-proof"): "Nothing that this protocol offers proves that it is {server} (`postern server list`).",
    ("account", ""): "The account is {account}.",
    ("account", "no-account"): "There is no account {user}; the client is told the same as for a wrong password.",
    ("account", "nobody-signs-in"): "{user} is a shared mailbox, room or equipment: nobody signs in to it.",
    ("standing", ""): "The account is enabled and may use {protocol}.",
    ("standing", "account_disabled"): "The account is disabled or may not use {protocol}: see `postern user show`.",
    ("standing", "account_expired"): "The account has expired: see `postern user show`.",
    ("lock", "none"): "Nothing is locked.",
    ("lock", "locked"): "Locked until {until} after failed sign-ins: {key}. `postern auth unlock` ends that.",
    ("lock", "familiar"): "Locked until {until}: {key}; but the user was at this network lately and may pass.",
    ("mechanism", "any"): "The client may choose of: {offered}.",
    ("mechanism", "offered"): "{mechanism} is offered.",
    ("mechanism", "not-offered"): "{mechanism} is not offered by this protocol; offered: {offered}.",
    ("mechanism", "no-keys"): "{mechanism} needs keys that were not made of this account's password: set it anew.",
    ("rule", "none-fits"): "No access rule fits: it is allowed.",
    ("rule", "fits"): "Rule {rule} fits: {action}.",
    ("rule", "protocol"): "Rule {rule} is about other protocols.",
    ("rule", "network"): "Rule {rule} is about other networks.",
    ("rule", "group"): "Rule {rule} is about another group.",
    ("codes", "asked"): "A one-time code is asked for after the password.",
    ("codes", "app-password-needed"): "The account has one-time codes: programs need an app password.",
    ("app-password", "works"): "App password {app_password} works here.",
    ("app-password", "expired"): "App password {app_password} has expired.",
    ("app-password", "protocol"): "App password {app_password} is for other protocols.",
    ("app-password", "network"): "App password {app_password} is for other networks.",
    ("password", "set"): "There is a password.",
    ("password", "none"): "There is no password: set one with `postern mailbox password`.",
    ("password", "expired"): "The password is too old: set a new one with `postern mailbox password`.",
    ("password", "elsewhere"): "The password is checked by {source}.",
}


def _words(step: Step) -> str:
    facts = dict(step.facts)
    if "until" in facts:
        facts["until"] = moment(facts["until"])
    if "offered" in facts:
        facts["offered"] = ", ".join(facts["offered"]) or "-"
    return _(_STEPS[step.name, step.cause], **facts)

"""`postern check autodiscover ADDRESS`: what a mail program meets on its way to this server, and what is in its way."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from postern.checks.autodiscovery import REGISTRY, Asking, Outcome, Step, first_answer, follow, obstacles
from postern.cli.language import _
from postern.cli.options import Json
from postern.cli.output import fail, print_json
from postern.model.addresses import check as check_address
from postern.model.refusal import Refusal
from postern.net.clock import SystemClock
from postern.net.dns import DnsResolver

EX_USAGE = 2

Trust = Annotated[Path | None, Parameter(help=_("Certificates of the authorities to trust (PEM)."))]
Timeout = Annotated[float, Parameter(help=_("Seconds to wait for a connection and for each answer."))]
Directory = Annotated[
    str,
    Parameter(
        name="--directory",
        help=_("Domain controller, or this server, to ask for the service connection point (LDAP over TLS)."),
    ),
]
PasswordFile = Annotated[
    str,
    Parameter(
        allow_leading_hyphen=True,
        help=_("File with the password of the address, `-` is standard input; without it nobody is signed in."),
    ),
]


def autodiscover(  # noqa: D103 - help is with the command
    address: str,
    /,
    *,
    password_file: PasswordFile = "",
    directory: Directory = "",
    trust: Trust = None,
    timeout: Timeout = 5.0,
    json: Json = False,
) -> None:
    try:
        wanted = check_address(address)
    except Refusal as refusal:
        fail(refusal.detail, EX_USAGE)
    if trust is not None and not trust.is_file():
        fail(_("there is no file {file}", file=trust), EX_USAGE)
    if not 0 < timeout <= 60:
        fail(_("--timeout must be more than 0 and at most 60"), EX_USAGE)
    asking = Asking(
        address=wanted, password=_password(password_file), trust=trust, timeout_s=timeout, directory=directory
    )
    steps = asyncio.run(follow(asking, DnsResolver(SystemClock())))
    found, ahead = first_answer(steps), obstacles(steps)
    if json:
        print_json(
            {
                "address": wanted,
                "found_by": found.name if found else None,
                "registry": [one.registry for one in ahead],
                "steps": [_row(number, step) for number, step in enumerate(steps, 1)],
            }
        )
    else:
        sys.stdout.write("\n".join(_lines(steps, found, ahead)) + "\n")
    raise SystemExit(0 if found is not None and not ahead else 1)


def _row(number: int, step: Step) -> dict[str, object]:
    return {
        "step": number,
        "name": step.name,
        "url": step.url or None,
        "outcome": step.outcome.value,
        "detail": step.detail or None,
        "registry": step.registry,
        "settings": step.settings,
    }


def _lines(steps: list[Step], found: Step | None, ahead: list[Step]) -> list[str]:
    lines = []
    for number, step in enumerate(steps, 1):
        lines.append(f"{number}. {_names()[step.name]}" + (f"  {step.url}" if step.url else ""))
        detail = f" ({step.detail})" if step.detail else ""
        lines.append(f"   {_outcomes()[step.outcome]}{detail}")
        lines += [f"     {kind:<9} {where}" for kind, where in step.settings.items()]
    lines.append("")
    if found is None:
        lines.append(_("No step leads to Autodiscover: see docs/autodiscover.md for the DNS records it needs."))
    else:
        lines.append(_("Mail programs are set up by step {step}.", step=steps.index(found) + 1))
    if ahead:
        lines.append(_("Something else answers before. Remove it there, or tell Outlook to pass it by:"))
        lines += [f'   reg add "{REGISTRY}" /v {step.registry} /t REG_DWORD /d 1' for step in ahead]
    if found is not None and found.outcome is Outcome.ASKS:
        lines.append(_("Give --password-file to see what it answers to whoever signs in."))
    return lines


def _names() -> dict[str, str]:
    return {
        "o365": _("Microsoft 365 (if the computer or account is registered there)"),
        "scp": _("Service connection point in Active Directory"),
        "root": _("The domain itself"),
        "autodiscover": _("The name autodiscover in the domain"),
        "local": _("A file on the computer"),
        "redirect": _("Redirect by HTTP"),
        "srv": _("SRV record"),
        "fallback": _("Microsoft 365, when all else fails"),
    }


def _outcomes() -> dict[Outcome, str]:
    return {
        Outcome.FOUND: _("Autodiscover answers with settings."),
        Outcome.ASKS: _("Somebody asks for a password, as Autodiscover does."),
        Outcome.REFUSED: _("Somebody answers and refuses."),
        Outcome.FOREIGN: _("Something else answers: Outlook stops here or warns."),
        Outcome.CERTIFICATE: _("The certificate is not good for this name: Outlook warns."),
        Outcome.NOTHING: _("Nobody is there; the program goes on."),
        Outcome.SKIPPED: _("Not asked from here."),
    }


def _password(source: str) -> str:
    if not source:
        return ""
    try:
        text = sys.stdin.read() if source == "-" else Path(source).read_text("utf-8")
    except (OSError, UnicodeDecodeError) as problem:
        fail(_("cannot read {file}: {problem}", file=source, problem=problem), EX_USAGE)
    return text.rstrip("\r\n")

"""What is written on the command line of an account: passwords, quotas, protocols, kinds, times."""

from __future__ import annotations

import getpass
import secrets
import sys

from postern.cli.language import _
from postern.cli.moments import parse_moment
from postern.cli.output import fail, parse_size
from postern.config.settings import Settings
from postern.directory.interface import ALL_PROTOCOLS, MAILBOX_KINDS, RecipientKind
from postern.model.items import Quota


def new_password() -> str:
    """A password a person can type: 20 letters and digits without look-alikes, 110 bits; all four kinds are there."""
    alphabet = "abcdefghijkmnopqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ23456789"
    while True:
        made = "-".join("".join(secrets.choice(alphabet) for _ in range(5)) for _ in range(4))
        if any(map(str.isdigit, made)) and any(map(str.islower, made)) and any(map(str.isupper, made)):
            return made


def read_password(given: str | None) -> tuple[str, bool]:
    """The password, and whether it was made up here."""
    if given is None:
        return new_password(), True
    if given != "-":
        return given, False
    if sys.stdin.isatty():
        return getpass.getpass(_("Password: ")), False
    return sys.stdin.readline().rstrip("\n"), False


def parse_quota(text: str | None, settings: Settings) -> Quota:
    """One figure becomes Exchange's three steps; without one, those of the settings."""
    if text is None:
        own = settings.store
        return Quota(own.warn_bytes or None, own.no_send_bytes or None, own.no_receive_bytes or None)
    try:
        octets = parse_size(text)
    except ValueError:
        fail(_("not a size: {text}; examples: 500M, 2G, none", text=text))
    return Quota(None, None, None) if octets is None else Quota(octets * 9 // 10, octets * 19 // 20, octets)


def parse_protocols(text: str) -> frozenset[str]:
    """`imap,smtp`."""
    chosen = frozenset(part.strip().lower() for part in text.split(",") if part.strip()) - {"none"}
    if not chosen <= ALL_PROTOCOLS:
        fail(
            _(
                "not a protocol: {text}; known: {known}, none",
                text=", ".join(sorted(chosen - ALL_PROTOCOLS)),
                known=", ".join(sorted(ALL_PROTOCOLS)),
            )
        )
    return chosen


def mailbox_kind(text: str) -> RecipientKind:
    """`user`, `shared`, `room`, `equipment`; anything else ends the command."""
    known = {one.value: one for one in MAILBOX_KINDS}
    if text.lower() not in known:
        fail(_("not a kind of mailbox: {text}; known: {known}", text=text, known=", ".join(known)))
    return known[text.lower()]


def expiry(text: str) -> float:
    """Seconds since the epoch; 0 for `never`."""
    if text.strip().lower() == "never":
        return 0.0
    try:
        return parse_moment(text)
    except ValueError:
        fail(_("not a time: {reason}", reason=text))

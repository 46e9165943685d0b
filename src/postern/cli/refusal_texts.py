"""What lower layers refuse, in the language of the command line: their English details, recognised as they are made.

A detail that is none of these is shown as it is.
"""

from __future__ import annotations

import re
import string
from functools import cache

from postern.cli.language import _, language
from postern.model.refusal import Reason, Refusal

TEMPLATES = (
    "no such domain: {name}",
    "no such alias: {name}",
    "no such group: {name}",
    "no such contact: {name}",
    "no such mailbox: {name}",
    "no such account: {name}",
    "no such address list: {name}",
    "no such account, contact or group: {name}",
    "no such server: {name}",
    "no such policy: {name}; known: {known}",
    "no such source: {name}; known: {known}",
    "no such attribute: {name}; known: {known}",
    "no rule {name}; known: {known}",
    "no app password {name}; known: {known}",
    "{name} is taken",
    "{name} has no address {proxy}",
    "not an address: {name}",
    "not a domain name: {name}",
    "{name} is not an accepted domain of this organisation",
    "{name} is still used, for example by {by}",
    "{name} is an address of ours: say where its mail goes",
    "{name} would be an alias of itself",
    "{name} would be a member of itself",
    "{name} comes from {source}: change it there",
    "{name} is dynamic: its filter {filter} says who is in",
    "{name} has no mailbox: full-access is for mailboxes",
    "there is an app password {name}: remove it first",
    "the password needs at least {least} characters",
    "the last {count} passwords may not be used again",
    "the password may not contain the user's name",
    "a password may not be empty or contain control characters",
    "a password has 0 to 4 kinds of characters",
    "an app password needs a name of at most 100 characters",
    "an account has {most} app passwords at most",
    "an alias needs at least one target",
    "a policy needs a name",
    "a source needs a name",
    "a picture is JPEG or PNG",
    "a picture has at most {most} KiB",
    "custom attributes are numbered 1 to 15",
    "the account has no one-time codes",
    "one-time codes are in use already: remove them first",
    "the default policy stays: accounts without another one have it",
    "nobody would be left with the organisation role: give it to another first",
    "not a protocol: {name}; known: {known}",
    "a filter has at most {most} parts",
    "{path} is busy",
    "no space left for {path}",
    "cannot write {path}: {problem}",
    "{path} is damaged: {problem}",
    "{path} has layout {layout}, this Postern knows {known}",
    # why a server does not start (roles.instance, net.listener)
    "another Postern (process {pid}) already uses the data directory {path}: stop it first, or give this "
    "one another directory (server.data, or --data)",
    "the data directory {path} is on a read-only file system: remount it writable",
    "not allowed to write to the data directory {path}: give it to the user that Postern runs as (`chown "
    "-R {user} {same}`)",
    "the disk of the data directory {path} is full, and nothing is left of what Postern keeps back: make "
    "{least} MiB free (old files in tracking and sign-ins may go), then start it again; once it runs, "
    "mail can be deleted",
    "the data directory {path} cannot be used: {problem}",
    "a restore into {path} did not come to its end: begin it again (`postern restore all`)",
    "another program already listens on {where}: stop it, or choose another port (`ss -ltnp` shows it)",
    "cannot listen on {where}: this machine does not have that address",
)
"""As f-strings of `Refusal(...)` have them; values by any names."""


LISTED = {
    "no such domain": "postern domain list",
    "no such alias": "postern alias list",
    "no such group": "postern group list",
    "no such contact": "postern contact list",
    "no such mailbox": "postern mailbox list",
    "no such address list": "postern addresslist list",
    "no such account, contact or group": "postern user find",
    "no such server": "postern server list",
}
"""By the beginning of a detail, which command shows what there is."""


def said(refusal: Refusal) -> str:
    """Why, for people, and what shows more."""
    if not refusal.detail:
        return refusal.reason.value
    if refusal.detail.startswith("no space left for "):
        return translated(refusal.detail) + ": " + _("make room and say it again")
    if refusal.reason is Reason.READ_ONLY and refusal.detail.startswith("cannot write "):
        return translated(refusal.detail) + ": " + _("run this as root or as the owner of the data directory")
    command = LISTED.get(refusal.detail.partition(":")[0], "")
    hint = "; " + shows(command) if command and ";" not in refusal.detail else ""
    return translated(refusal.detail) + hint


def shows(command: str) -> str:
    """Where to look."""
    return _("`{command}` shows what there is", command=command)


def translated(detail: str) -> str:
    """A detail in the language in use."""
    if language() == "en":
        return detail
    for template, pattern in _patterns():
        found = pattern.fullmatch(detail)
        if found is not None:
            return _(template, **found.groupdict())
    return detail


@cache
def _patterns() -> list[tuple[str, re.Pattern[str]]]:
    """Those that say most come first."""
    compiled = []
    for template in sorted(TEMPLATES, key=_constant_length, reverse=True):
        parts = [
            re.escape(text) + (f"(?P<{name}>.+?)" if name else "")
            for text, name, _spec, _conversion in string.Formatter().parse(template)
        ]
        compiled.append((template, re.compile("".join(parts), re.DOTALL)))
    return compiled


def _constant_length(template: str) -> int:
    return sum(len(text) for text, *_rest in string.Formatter().parse(template))

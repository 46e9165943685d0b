"""All commands, put together. Imported once the language is chosen.

Each command's module is imported when the command is given: those that need no server run on every system.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter

from postern import __version__
from postern.cli import launch
from postern.cli.language import _
from postern.cli.options import Config

Base = Annotated[int | None, Parameter(help=_("First port: 25 becomes BASE+25, 143 BASE+143, and so on."))]
Place = Annotated[Path | None, Parameter(help=_("Keep the organisation in this directory; without it, it is removed."))]
Workers = Annotated[int, Parameter(help=_("Worker processes."))]
Line = Annotated[bool, Parameter(name="--json", negative="", help=_("Print one line of JSON when ready."))]


def serve(*, config: Config = None) -> None:  # noqa: D103 - help is in the table
    raise SystemExit(launch.start(launch.Launch("serve", config=config)))


def demo(*, port_base: Base = None, data: Place = None, workers: Workers = 2, json: Line = False) -> None:  # noqa: D103
    raise SystemExit(launch.start(launch.Launch("demo", None, port_base, data, workers, json)))


def build() -> App:
    """The program."""
    app = App(
        name="postern",
        help=_(
            "A mail server: SMTP, IMAP4, POP3.\n\n"
            "Texts are English or Russian: --lang en|ru, else the environment's LANG."
        ),
        version=__version__,
        help_format="plaintext",
    )
    app.register_install_completion_command(
        help=_("Install completion for the shell.\n\nExample: postern --install-completion --shell bash")
    )
    app.command(serve, help=_("Run the organisation of the settings file.\n\nExample: postern serve"))
    app.command(
        demo,
        help=_(
            "Run a throw-away organisation on loopback and high ports.\n\nExample: postern demo --port-base 9000 --json"
        ),
    )
    app.command(
        "postern.cli.quickstart:quickstart",
        name="quickstart",
        help=_(
            "Write a new organisation: settings, certificate, DKIM key, administrator, DNS records, systemd unit."
            "\n\nExample: postern quickstart admin@example.org"
        ),
    )
    app.command(
        "postern.cli.settings:settings",
        name="settings",
        help=_("Check the settings file, or print the reference of all keys.\n\nExample: postern settings --reference"),
    )
    app.command(
        "postern.cli.import_:app",
        name="import",
        help=_("Bring mail from another server or from files. What was cut off goes on when it is run again."),
    )
    for noun, text in _nouns().items():
        app.command(f"postern.cli.{noun}:app", name=noun, help=text)
    return app


def _nouns() -> dict[str, str]:
    """Modules with an `app` of the same name, and what the list of commands says of each."""
    return {
        "mailbox": _("Users and shared mailboxes."),
        "user": _("People and their details in the address book."),
        "room": _("Rooms and equipment that can be booked."),
        "public": _("Public folders, and who may do what in them."),
        "contact": _("People elsewhere who are in the address book."),
        "alias": _("Further addresses of mailboxes and groups."),
        "group": _("Distribution groups."),
        "addresslist": _("Parts of the address book."),
        "permission": _("Rights on mailboxes, folders and groups; what administrators may do."),
        "role": _("Administrators and what they may do."),
        "oab": _("The offline address book."),
        "policy": _("Limits that many accounts share."),
        "auth": _("Sign-in: log, locks, app passwords, one-time codes, rules."),
        "domain": _("Accepted domains."),
        "autodiscover": _("What mail programs are told of this server."),
        "directory": _("Directories elsewhere: Active Directory and LDAP."),
        "cert": _("Certificates: list, check, make, request, import, issue, renew."),
        "server": _("The organisation's other servers, known by their certificates."),
        "backup": _("Back up the whole organisation, while everybody works; look after the backups."),
        "restore": _("Bring back the whole organisation, a mailbox, folders or items from a backup."),
        "export": _("Write a mailbox's mail into files. Clients may go on working meanwhile."),
        "queue": _("Mail that waits for its next hop."),
        "trace": _(
            "Every event of every message that fits, in order of time."
            "\n\nExample: postern trace --sender anna@example.org --since 2h"
        ),
        "ports": _(
            "Which ports, authentication and encryption: Exchange 2003 to 2019 and Postern."
            "\n\nExample: postern ports --edition 2016,postern --source outlook"
        ),
        "check": _(
            "Ask every service by its real handshake and show what differs from the catalogue."
            " Without arguments: this server's own listeners."
            "\n\nExample: postern check --topology topology.toml --html report.html"
        ),
        "firewall": _(
            "Write the rules of a packet filter: what the topology's data paths need, and nothing else."
            "\n\nExample: postern firewall --format nftables --topology topology.toml --host mail1"
        ),
    }

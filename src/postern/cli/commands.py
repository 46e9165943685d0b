"""All commands, put together. Imported once the language is chosen."""

from __future__ import annotations

import importlib
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter

from postern import __version__
from postern.cli import alias, domain, group, launch, mailbox, ports, settings
from postern.cli.language import _
from postern.cli.organisation import Config
from postern.cli.quickstart import quickstart

Base = Annotated[int | None, Parameter(help=_("First port: 25 becomes BASE+25, 143 BASE+143, and so on."))]
Place = Annotated[Path | None, Parameter(help=_("Keep the organisation in this directory; without it, it is removed."))]
Workers = Annotated[int, Parameter(help=_("Worker processes."))]
Line = Annotated[bool, Parameter(name="--json", negative="", help=_("Print one line of JSON when ready."))]

NOUNS = ("queue", "trace")
"""Commands of other packages' modules: each has an `app`."""


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
        quickstart,
        help=_(
            "Write a new organisation: settings, certificate, DKIM key, administrator, DNS records, systemd unit."
            "\n\nExample: postern quickstart admin@example.org"
        ),
    )
    app.command(ports.app)
    app.command(
        settings.settings,
        help=_("Check the settings file, or print the reference of all keys.\n\nExample: postern settings --reference"),
    )
    for noun in (mailbox.app, alias.app, group.app, domain.app):
        app.command(noun)
    for name in NOUNS:
        if find_spec(f"postern.cli.{name}") is not None:
            app.command(importlib.import_module(f"postern.cli.{name}").app)
    return app

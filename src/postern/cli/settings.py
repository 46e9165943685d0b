"""`postern settings` and `postern ports listening`: what the settings file comes to."""

from __future__ import annotations

import sys
from typing import Annotated

from cyclopts import Parameter

from postern.catalogue.load import load
from postern.cli.language import _, language
from postern.cli.organisation import Config, Json, load_settings
from postern.cli.output import print_json, show_list
from postern.cli.serve import config_path
from postern.config.listeners import listeners
from postern.config.reference import render
from postern.config.settings import Settings

Reference = Annotated[bool, Parameter(negative="", help=_("Print the reference of all keys (Markdown)."))]


def settings(*, reference: Reference = False, config: Config = None, json: Json = False) -> None:
    """Check the settings file and show what is in force."""
    if reference:
        sys.stdout.write(render())
        return
    loaded = load_settings(config)
    if json:
        print_json(loaded)
        return
    sys.stdout.write(_("{path} is good.", path=config_path(config)) + "\n")


def listening(*, config: Config = None, json: Json = False) -> None:
    """List what the server opens; without a settings file, the catalogue's defaults."""
    settings = load_settings(config) if config or config_path(config).exists() else Settings()
    rows = [
        {
            "id": one.path.id,
            "port": one.port,
            "addresses": list(one.addresses),
            "protocol": one.path.protocol,
            "encryption": one.path.encryption_default.value,
            "mechanisms": list(one.mechanisms),
            "role": one.path.role,
            "purpose": load()[f"postern.{one.path.id}"].purpose.of(language()),
        }
        for one in listeners(settings)
    ]
    columns = {
        "id": _("DATA PATH"),
        "port": _("PORT"),
        "encryption": _("ENCRYPTION"),
        "role": _("ROLE"),
        "purpose": _("PURPOSE"),
    }
    show_list(rows, columns, json=json)

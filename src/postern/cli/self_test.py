"""The services of the organisation on this machine, from its settings: what `postern check` asks without arguments."""

from __future__ import annotations

import ssl
from pathlib import Path

from postern.catalogue.load import load as load_catalogue
from postern.checks import plan as planning
from postern.checks.plan import Plan
from postern.cli.language import _
from postern.cli.output import fail
from postern.config.listeners import listeners
from postern.config.loading import DEFAULT_PATHS, SettingsError, load
from postern.config.settings import Settings

EX_CONFIG = 78
_ANY = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - what is listened to, and where it is asked


def of_settings(config: Path | None) -> tuple[Plan, bytes, str]:
    """The plan, our own certificate (DER; empty if it cannot be read), and the name of the server."""
    try:
        settings = load(_place(config))
    except SettingsError as problem:
        fail(str(problem), EX_CONFIG)
    rows = {path.listener.id: path for path in load_catalogue().paths if path.listener is not None}
    services = [
        planning.of_listener(
            rows[one.path.id], settings.server.hostname, _ANY.get(address, address), one.port, one.mechanisms
        )
        for one in listeners(settings)
        for address in one.addresses
    ]
    return Plan(tuple(services), ()), _certificate(settings), settings.server.hostname


def _place(config: Path | None) -> Path:
    from os import environ

    if config is not None:
        return config
    named = environ.get("POSTERN_CONFIG")
    places = [Path(named)] if named else list(DEFAULT_PATHS)
    for place in places:
        if place.exists():
            return place
    fail(
        _("nothing to check: give --topology FILE, --host NAME, or --config with the settings of this server"),
        EX_CONFIG,
    )


def _certificate(settings: Settings) -> bytes:
    try:
        pem = settings.certificate.read_text("ascii")
        end = pem.index("-----END CERTIFICATE-----") + len("-----END CERTIFICATE-----")
        return ssl.PEM_cert_to_DER_cert(pem[:end].strip())
    except (OSError, ValueError):
        return b""

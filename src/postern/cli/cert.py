"""`postern cert`: the server's certificates: what there is, what is wrong, and where new ones come from."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Annotated, Any

from cyclopts import App, Parameter

from postern.certificates.inventory import Entry, entry, inventory
from postern.certificates.place import Pair, Place
from postern.cli import cert_making
from postern.cli.language import _
from postern.cli.organisation import Config, Json, become_owner, load_settings
from postern.cli.output import fail, print_json, show_list, show_one
from postern.config.listeners import listeners
from postern.config.settings import Settings
from postern.formats.certificate import read, valid_for
from postern.model.refusal import Refusal
from postern.net.clock import SystemClock

app = App(name="cert", help=_("Certificates: list, check, make, request, import, issue, renew."))
cert_making.register(app)

File = Annotated[Path | None, Parameter(help=_("PEM file; without it the listeners' certificate."))]


@app.command(
    name="list",
    help=_(
        "List the certificates: what each is for, its names, how long it lasts.\n\nExample: postern cert list --json"
    ),
)
def list_(*, config: Config = None, json: Json = False) -> None:  # noqa: D103 - help is above
    entries = _entries(load_settings(config))
    columns = {
        "use": _("FOR"),
        "names": _("NAMES"),
        "issuer": _("ISSUER"),
        "until": _("UNTIL"),
        "days": _("DAYS"),
        "state_text": _("STATE"),
        "file": _("FILE"),
    }
    show_list([row(one) for one in entries], columns, json=json)


@app.command(
    help=_("Show one certificate with its pin and the TLSA record that fits it.\n\nExample: postern cert show hub2.pem")
)
def show(file: File = None, /, *, config: Config = None, json: Json = False) -> None:  # noqa: D103
    if file is None:
        settings = load_settings(config)
        become_owner(settings.data_dir)
        found = entry("listeners", settings.certificate, SystemClock().now(), settings.tls.warn_days)
    else:
        found = entry("", file, SystemClock().now(), 0)
    if found.facts is None:
        fail(_("{path} cannot be read: {problem}", path=found.path, problem=found.text))
    labels = {
        "file": _("File"),
        "subject": _("Subject"),
        "issuer": _("Issuer"),
        "names": _("Names"),
        "addresses": _("Addresses"),
        "since": _("Valid from"),
        "until": _("Valid until"),
        "key": _("Key"),
        "purposes": _("Purposes"),
        "serial": _("Serial number"),
        "fingerprint": _("SHA-256"),
        "pin": _("Pin"),
        "tlsa": _("TLSA"),
        "state_text": _("State"),
    }
    show_one(row(found), labels, json=json)


@app.command(
    help=_(
        "Check the certificates, and whether the running server shows the present one; status 1 if something is wrong."
        "\n\nExample: postern cert check"
    )
)
def check(*, config: Config = None, json: Json = False) -> None:  # noqa: D103
    settings = load_settings(config)
    findings = [
        {"use": one.use, "file": str(one.path), "state": one.state, "text": one.text}
        for one in _entries(settings)
        if one.state != "valid" and one.use != "issued"
    ]
    findings += _pair_findings(settings) + _served_findings(settings)
    if json:
        print_json({"findings": findings})
    elif findings:
        show_list(findings, {"use": _("FOR"), "state": _("STATE"), "text": _("TEXT"), "file": _("FILE")}, json=False)
    else:
        print(_("All certificates are in order."))
    raise SystemExit(1 if findings else 0)


def _entries(settings: Settings) -> list[Entry]:
    become_owner(settings.data_dir)
    return list(
        inventory(
            Place(settings.data_dir),
            Pair(settings.certificate, settings.key),
            Pair(settings.client_certificate, settings.client_key),
            SystemClock().now(),
            settings.tls.warn_days,
        )
    )


def row(found: Entry) -> dict[str, Any]:
    """A line of the list, and what `show` has more."""
    facts = found.facts
    shown: dict[str, Any] = {
        "use": found.use,
        "file": str(found.path),
        "state": found.state,
        "text": found.text,
        "state_text": state_text(found),
        "days": found.days,
    }
    if facts is not None:
        shown |= {
            "names": facts.names,
            "addresses": facts.addresses,
            "subject": facts.subject,
            "issuer": _("itself") if facts.self_signed else facts.issuer,
            "self_signed": facts.self_signed,
            "since": _moment(facts.not_before),
            "until": _moment(facts.not_after),
            "key": facts.key,
            "purposes": facts.purposes,
            "authority": facts.authority,
            "serial": facts.serial,
            "fingerprint": facts.fingerprint,
            "pin": facts.pin,
            "tlsa": f"3 1 1 {facts.pin}",
        }
    return shown


def state_text(found: Entry) -> str:
    """The state in the reader's language."""
    return {
        "valid": _("valid"),
        "expires_soon": _("expires soon"),
        "expired": _("expired"),
        "not_yet_valid": _("not valid yet"),
        "wrong_purpose": _("wrong purpose"),
        "unreadable": _("cannot be read"),
    }.get(found.state, found.state)


def _moment(seconds: int) -> str:
    from datetime import UTC, datetime

    return datetime.fromtimestamp(seconds, UTC).isoformat()


def _pair_findings(settings: Settings) -> list[dict[str, str]]:
    """Key and certificate belong together; the server's own name is in the certificate."""
    found = []
    path = str(settings.certificate)
    try:
        certificate, key = Pair(settings.certificate, settings.key).load()
    except Refusal as refusal:
        return [{"use": "listeners", "file": path, "state": "unreadable", "text": refusal.detail}]
    if certificate.public_key() != key.public_key():
        text = _("the private key {key} belongs to another certificate", key=settings.key)
        found.append({"use": "listeners", "file": path, "state": "wrong_key", "text": text})
    if not valid_for(certificate, settings.server.hostname):
        text = _("the name of this server, {name}, is not in it", name=settings.server.hostname)
        found.append({"use": "listeners", "file": path, "state": "wrong_name", "text": text})
    if settings.key.stat().st_mode & 0o077:
        text = _("others may read the private key {key}: chmod 600", key=settings.key)
        found.append({"use": "listeners", "file": str(settings.key), "state": "readable_key", "text": text})
    return found


def _served_findings(settings: Settings) -> list[dict[str, str]]:
    """What listeners with TLS from the first octet really show; a server that does not run is no finding."""
    found = []
    try:
        present = ssl.DER_cert_to_PEM_cert(read(settings.certificate.read_bytes())[0].public_bytes(_der()))
    except (OSError, ValueError):
        return []
    for listening in listeners(settings):
        if not listening.path.implicit_tls:
            continue
        address = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(listening.addresses[0], listening.addresses[0])  # noqa: S104
        try:
            shown = ssl.get_server_certificate((address, listening.port), timeout=5)
        except OSError:
            continue
        if shown != present:
            text = _("{listener} on port {port} shows another one", listener=listening.path.id, port=listening.port)
            found.append({"use": "listeners", "file": str(settings.certificate), "state": "not_served", "text": text})
    return found


def _der() -> Any:
    from cryptography.hazmat.primitives.serialization import Encoding

    return Encoding.DER

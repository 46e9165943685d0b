"""`postern cert self-signed|request|import|issue|acme|renew`: where certificates come from."""

from __future__ import annotations

import ipaddress
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import App, Parameter

from postern.certificates.place import Pair, Place, fitting, write_private
from postern.cli.files import explain_file
from postern.cli.language import _
from postern.cli.organisation import Config, Json, become_owner, load_settings
from postern.cli.output import done, fail
from postern.config.settings import Settings
from postern.formats import issuing
from postern.formats.certificate import facts, read, renewal_due
from postern.model.refusal import Refusal
from postern.net.clock import SystemClock

if TYPE_CHECKING:
    from cryptography import x509

Names = Annotated[
    tuple[str, ...],
    Parameter(name="--name", negative="", help=_("DNS name in the certificate; may be repeated.")),
]
Addresses = Annotated[
    tuple[str, ...],
    Parameter(name="--address", negative="", help=_("IP address in the certificate; may be repeated.")),
]
Days = Annotated[int, Parameter(help=_("Days that it is valid."))]
Out = Annotated[Path | None, Parameter(help=_("File to write; without it standard output."))]
KeyFile = Annotated[Path | None, Parameter(name="--key", help=_("Private key; without it that of `cert request`."))]
Password = Annotated[
    Path | None, Parameter(name="--password-file", help=_("File with the password of the key or PFX file."))
]
Asked = Annotated[Path | None, Parameter(name="--request", help=_("Certificate request of another server."))]
Force = Annotated[bool, Parameter(negative="", help=_("Renew even if it is not due."))]


def register(app: App) -> None:
    """Add these commands to `postern cert`."""
    app.command(
        self_signed,
        name="self-signed",
        help=_(
            "Make a new self-signed certificate for the listeners; a running server takes it over at once."
            "\n\nExample: postern cert self-signed --name mail.example.org --name autodiscover.example.org"
        ),
    )
    app.command(
        request,
        help=_(
            "Make a private key and a certificate request for an authority."
            "\n\nExample: postern cert request --name mail.example.org --out mail.csr"
        ),
    )
    app.command(
        import_,
        name="import",
        help=_(
            "Take a certificate from an authority (PEM, DER or PFX); a running server takes it over at once."
            "\n\nExample: postern cert import mail.pem"
        ),
    )
    app.command(
        issue,
        help=_(
            "Issue a certificate by the organisation's own authority, which is made at first use."
            "\n\nExample: postern cert issue --request hub2.csr --out hub2.pem"
        ),
    )
    app.command(
        acme,
        help=_("Obtain a certificate by ACME now, as [acme] in the settings says.\n\nExample: postern cert acme"),
    )
    app.command(
        renew,
        help=_("Renew what is due: ACME, self-signed, issued here.\n\nExample: postern cert renew --force"),
    )


def self_signed(  # noqa: D103 - help is above
    *,
    name: Names = (),
    address: Addresses = (),
    days: Days = issuing.SELF_SIGNED_DAYS,
    config: Config = None,
    json: Json = False,
) -> None:
    settings = load_settings(config)
    pair = _own_pair(settings)
    names, addresses = _wanted(settings, name, address)
    try:
        pair.replace(*issuing.self_signed(names, addresses, SystemClock().now(), days))
    except (OSError, ValueError, Refusal) as problem:
        fail(_text(problem))
    _replaced(pair, json=json)


def request(  # noqa: D103
    *, name: Names = (), address: Addresses = (), out: Out = None, config: Config = None, json: Json = False
) -> None:
    settings = load_settings(config)
    become_owner(settings.data_dir)
    place = Place(settings.data_dir)
    names, addresses = _wanted(settings, name, address)
    key = issuing.new_key()
    try:
        asked = issuing.request(names, addresses, key)
        Pair(place.request, place.request_key).replace(asked, issuing.key_pem(key))
        if out is not None:
            out.write_bytes(asked)
    except (OSError, ValueError, Refusal) as problem:
        fail(_text(problem))
    if out is None and not json:
        sys.stdout.write(asked.decode())
        return
    text = _("Request for {names}: give {file} to the authority, then: postern cert import ANSWER",
             names=", ".join(names), file=out)  # fmt: skip
    done(text, {"names": names, "addresses": addresses, "request": asked.decode()}, json=json)


def import_(  # noqa: D103
    certificate: Path,
    /,
    *,
    key: KeyFile = None,
    password_file: Password = None,
    config: Config = None,
    json: Json = False,
) -> None:
    settings = load_settings(config)
    try:
        password = password_file.read_bytes().strip() if password_file else None
        chain, private = _given(Place(settings.data_dir), certificate, key, password)
        pair = _own_pair(settings)
        pair.replace(fitting(chain, private, SystemClock().now()), issuing.key_pem(private))
    except (OSError, ValueError, Refusal) as problem:
        fail(_text(problem))
    _replaced(pair, json=json)


def _given(
    place: Place, file: Path, key: Path | None, password: bytes | None
) -> tuple[list[x509.Certificate], issuing.Key]:
    """Certificates and key, from a PFX file, a key file, the same PEM file, or the pending request."""
    content = file.read_bytes()
    if key is not None:
        return read(content), issuing.load_key(key.read_bytes(), password)
    if b"-----BEGIN" not in content:
        try:
            return read(content), issuing.load_key(place.request_key.read_bytes())
        except (ValueError, OSError):
            private, chain = issuing.load_pfx(content, password)
            return chain, private
    if b"PRIVATE KEY-----" in content:
        return read(content), issuing.load_key(content, password)
    if not place.request_key.exists():
        raise ValueError(_("there is no private key: name it with --key, or begin with `postern cert request`"))
    return read(content), issuing.load_key(place.request_key.read_bytes())


def issue(  # noqa: D103
    *,
    name: Names = (),
    address: Addresses = (),
    request: Asked = None,
    days: Days = issuing.ISSUED_DAYS,
    out: Out = None,
    config: Config = None,
    json: Json = False,
) -> None:
    settings = load_settings(config)
    become_owner(settings.data_dir)
    place, now = Place(settings.data_dir), SystemClock().now()
    if request is None and not name:
        fail(_("name the server: --name hub2.example.org, or give its --request"))
    try:
        place.ensure_authority(settings.server.hostname, now)
        signer = place.signer()
        key = None if request else issuing.new_key()
        names, addresses = name, address
        subject: Any = key
        if request is not None:
            subject, asked_names, asked_addresses = issuing.asked_for(request.read_bytes())
            # what --name says wins: the authority decides, not who asks
            names, addresses = name or asked_names, address or asked_addresses
        made = issuing.issue(names, addresses, subject, signer, now, days)
        kept = place.issued / f"{facts(read(made)[0]).serial}.pem"
        write_private(kept, made)
        bundle = made + (issuing.key_pem(key) if key else b"")
        if out is not None:
            out.unlink(missing_ok=True)
            write_private(out, bundle)
    except (OSError, ValueError, Refusal) as problem:
        fail(_text(problem))
    if out is None and not json:
        sys.stdout.write(bundle.decode())
        return
    found = facts(read(made)[0])
    shown = {
        "names": found.names, "serial": found.serial, "pin": found.pin, "not_after": found.not_after,
        "authority": str(place.authority.certificate), "file": str(out or kept),
        "certificate": made.decode(), "key": issuing.key_pem(key).decode() if key and out is None else None,
    }  # fmt: skip
    done(_("Issued for {names}: {file}", names=", ".join(found.names), file=out or kept), shown, json=json)


def acme(*, config: Config = None, json: Json = False) -> None:  # noqa: D103
    settings = load_settings(config)
    if not settings.acme.directory:
        fail(_("[acme] directory is not set: docs/certificates.md shows what is needed"))
    _obtain(settings)
    _replaced(_own_pair(settings), json=json)


def renew(*, force: Force = False, config: Config = None, json: Json = False) -> None:  # noqa: D103
    settings = load_settings(config)
    pair, now = _own_pair(settings), SystemClock().now()
    try:
        certificate, key = pair.load()
    except Refusal as refusal:
        fail(refusal.detail)
    if not force and not renewal_due(certificate, now, settings.acme.renew_days):
        done(_("Nothing is due."), {"renewed": False}, json=json)
        return
    if settings.acme.directory:
        _obtain(settings)
    else:
        _renew_here(settings, pair, certificate, key)
    _replaced(pair, json=json)


def _renew_here(settings: Settings, pair: Pair, certificate: x509.Certificate, key: issuing.Key) -> None:
    """A self-signed one, or one of our own authority, with the names it has."""
    place, now, known = Place(settings.data_dir), SystemClock().now(), facts(certificate)
    try:
        if known.self_signed:
            made = issuing.self_signed(known.names, known.addresses, now)
        elif place.authority.certificate.exists() and certificate.issuer == place.signer()[0].subject:
            made = issuing.issue(known.names, known.addresses, key, place.signer(), now), issuing.key_pem(key)
        else:
            fail(
                _(
                    "this certificate comes from {issuer}: ask there for a new one (`postern cert request`), or set"
                    " [acme] directory",
                    issuer=known.issuer,
                )
            )
        pair.replace(*made)
    except (OSError, ValueError, Refusal) as problem:
        fail(_text(problem))


def _obtain(settings: Settings) -> None:
    from postern.roles.renewal import obtain  # brings an HTTP client along

    become_owner(settings.data_dir)
    try:
        obtain(settings, SystemClock())
    except (OSError, Refusal) as problem:
        fail(_text(problem))


def _own_pair(settings: Settings) -> Pair:
    """The files that these commands may write."""
    if settings.tls.certificate:
        fail(
            _(
                "[tls] certificate is {file}, which another program keeps: replace it there, or remove certificate"
                " and key from [tls]",
                file=settings.tls.certificate,
            )
        )
    become_owner(settings.data_dir)
    return Place(settings.data_dir).listeners


def _wanted(
    settings: Settings, names: tuple[str, ...], addresses: tuple[str, ...]
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Names and addresses as given, else those of the present certificate, else the server's name."""
    try:
        for address in addresses:
            ipaddress.ip_address(address)
    except ValueError as problem:
        fail(str(problem))
    if names:
        return names, addresses
    try:
        known = facts(read(settings.certificate.read_bytes())[0])
    except (OSError, ValueError):
        return (settings.server.hostname,), addresses
    return known.names or (settings.server.hostname,), addresses or known.addresses


def _replaced(pair: Pair, *, json: bool) -> None:
    found = facts(read(pair.certificate.read_bytes())[0])
    shown = {
        "file": str(pair.certificate),
        "names": found.names,
        "addresses": found.addresses,
        "issuer": found.issuer,
        "not_after": found.not_after,
        "fingerprint": found.fingerprint,
        "pin": found.pin,
    }
    done(_("New certificate for {names} in {file}.", names=", ".join(found.names), file=pair.certificate), shown,
         json=json)  # fmt: skip


def _text(problem: Exception) -> str:
    if isinstance(problem, Refusal):
        return problem.detail
    if isinstance(problem, OSError):
        return explain_file(problem)
    return str(problem)

"""The listeners' certificate by ACME, put together from the settings; blocking."""

from __future__ import annotations

import contextlib
from pathlib import Path

from postern.certificates.ordering import Authority
from postern.certificates.ordering import obtain as order
from postern.certificates.place import Place, fitting
from postern.certificates.responders import HookResponder, HttpResponder, Responder, TlsResponder
from postern.config.settings import Settings
from postern.formats import issuing
from postern.formats.certificate import read
from postern.model.ports import Clock
from postern.model.refusal import Reason, Refusal


def obtain(settings: Settings, clock: Clock) -> None:
    """Order a certificate and put it in place. Raises Refusal, OSError; the old one stays then."""
    own, place = settings.acme, Place(settings.data_dir)
    names = own.names or (settings.server.hostname,)
    try:
        key_file = Path(own.eab_key_file).read_text("ascii").strip() if own.eab_key_file else ""
    except (OSError, ValueError) as problem:
        raise Refusal(Reason.NO_SUCH_ITEM, f"[acme] eab_key_file cannot be read: {problem}") from problem
    authority = Authority(
        directory=own.directory,
        agree_to_terms=own.agree_to_terms,
        email=own.email,
        trust=own.trust,
        eab_key_id=own.eab_key_id,
        eab_key=key_file,
    )
    key = _key(settings, place)
    chain = order(authority, place.acme, names, key, own.challenge, responder(settings, place, clock), clock)
    place.listeners.replace(fitting(read(chain), key, clock.now()), issuing.key_pem(key))


def responder(settings: Settings, place: Place, clock: Clock) -> Responder:
    """As `[acme] challenge` says. Raises Refusal."""
    own = settings.acme
    addresses = own.addresses or settings.network.addresses
    if own.challenge == "http-01":
        return HttpResponder(place.challenges, addresses, own.http_port)
    if own.challenge == "tls-alpn-01":
        return TlsResponder(place.challenges, addresses, own.tls_port, clock.now())
    return HookResponder(own.hook, own.hook_wait_s)


def _key(settings: Settings, place: Place) -> issuing.Key:
    """The present key where pins must hold, else a new one."""
    if settings.acme.reuse_key:
        with contextlib.suppress(Refusal):
            return place.listeners.load()[1]
    return issuing.new_key()

"""Mechanisms that prove by tokens, put together from settings: who offers them asks `Authentication.negotiations`."""

from __future__ import annotations

import importlib
import importlib.util
import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from postern.config.listeners import takes_certificates
from postern.config.mechanisms import Oidc
from postern.config.settings import Settings
from postern.directory.interface import Directory
from postern.formats import spnego
from postern.model.ports import Clock, Entropy
from postern.roles.instance import StartError
from postern.services.authentication import Authentication
from postern.services.mechanisms.context import Admission, Context, Direct
from postern.services.mechanisms.external import MECHANISM as EXTERNAL
from postern.services.mechanisms.external import Certificates, External
from postern.services.mechanisms.gssapi_sasl import GssapiSasl
from postern.services.mechanisms.hashes import DirectoryHashes
from postern.services.mechanisms.ntlm import SERVICES, NtlmContext, NtlmSettings
from postern.services.mechanisms.servers import ServerAdmission
from postern.services.mechanisms.spnego import SpnegoExchange
from postern.services.mechanisms.winbind import Winbind
from postern.services.negotiation import Circumstances, Negotiation, Opener
from postern.services.server_trust import ServerTrust

if TYPE_CHECKING:
    from postern.services.mechanisms.kerberos import Kerberos

REPLAY_CACHE_FILE = "kerberos-replays"
_NETBIOS_LENGTH = 15


def register(
    authentication: Authentication,
    settings: Settings,
    directory: Directory,
    data: Path,
    clock: Clock,
    entropy: Entropy,
    trust: ServerTrust | None = None,
) -> None:
    """Make known what the settings name; `trust` knows servers of the organisation by their certificates."""
    admission = Admission(authentication)
    known = authentication.negotiations
    required = settings.authentication.require_channel_binding
    inner: dict[str, Callable[[Circumstances], Context]] = {}

    def strict(opener: Opener) -> Opener:
        """With the setting that a channel binding has to be there."""
        return lambda seen: opener(seen._replace(binding_required=seen.binding_required or required))

    if settings.kerberos.keytab:
        kerberos = _kerberos(settings, data, clock)
        known.when_closed(kerberos.close)
        inner[spnego.KERBEROS] = inner[spnego.KERBEROS_MICROSOFT] = kerberos.open
        known.register("GSSAPI", strict(lambda seen: GssapiSasl(kerberos.open(seen), admission, seen)))
        servers = ServerAdmission(admission)
        known.servers = lambda seen: GssapiSasl(kerberos.open(seen), servers, seen)
    if takes_certificates(settings):
        certificates = None
        if settings.authentication.front_end_certificates and trust is not None:
            certificates = Certificates(trust, clock, settings.authentication.client_ca)
        known.register(EXTERNAL, lambda seen: External(directory, admission, seen, certificates))
    if settings.ntlm.accounts or settings.ntlm.winbind:
        ntlm = _ntlm(authentication, settings, directory, admission, clock, entropy)
        inner[spnego.NTLM] = ntlm
        known.register("NTLM", strict(lambda seen: Direct(ntlm(seen), admission, seen)))
    if settings.oidc:
        _register_bearer(authentication, admission, settings.oidc, clock)
    if inner:

        def negotiate(seen: Circumstances) -> Negotiation:
            # NTLM belongs to SMTP and HTTP only; SPNEGO is no way around that
            allowed = {name: make for name, make in inner.items() if name != spnego.NTLM or seen.protocol in SERVICES}
            return SpnegoExchange(allowed, admission, seen)

        known.register("Negotiate", strict(negotiate))


def check(settings: Settings) -> None:
    """Before anything is forked: whether what the settings name is there. Raises StartError."""
    if settings.oidc:
        importlib.import_module("postern.services.mechanisms.bearer")
        importlib.import_module("postern.net.fetch")
    if settings.ntlm.winbind and not os.access(settings.ntlm.helper, os.X_OK):
        raise StartError(
            f"ntlm.winbind is on, and there is no {settings.ntlm.helper}: install winbind, join the domain"
        )
    if not settings.kerberos.keytab:
        return
    if importlib.util.find_spec("gssapi") is None:
        raise StartError("kerberos.keytab is set, and Python's gssapi is missing: pip install 'postern[kerberos]'")
    try:
        with open(settings.kerberos.keytab, "rb") as keytab:
            head = keytab.read(2)
    except OSError as problem:
        raise StartError(f"kerberos.keytab: {settings.kerberos.keytab} cannot be read: {problem.strerror}") from None
    if head != b"\x05\x02":
        raise StartError(f"kerberos.keytab: {settings.kerberos.keytab} is no keytab")
    importlib.import_module("postern.services.mechanisms.kerberos_client")


def _kerberos(settings: Settings, data: Path, clock: Clock) -> Kerberos:
    from postern.services.mechanisms.kerberos import Kerberos, KerberosSettings

    return Kerberos(
        KerberosSettings(Path(settings.kerberos.keytab), data / REPLAY_CACHE_FILE, settings.kerberos.realms), clock
    )


def _register_bearer(
    authentication: Authentication, admission: Admission, issuers: tuple[Oidc, ...], clock: Clock
) -> None:
    # imported only where it is used: most servers never see a token
    from postern.net.fetch import Fetcher
    from postern.services.mechanisms.bearer import Bearer
    from postern.services.mechanisms.issuer import Issuer, IssuerSettings

    fetcher = Fetcher()
    authentication.negotiations.when_closed(fetcher.close)
    made = [
        Issuer(
            IssuerSettings(
                own.issuer,
                own.audience,
                own.claim,
                own.scope,
                own.algorithms,
                Path(own.authority) if own.authority else None,
            ),
            fetcher.get,
            clock,
        )
        for own in issuers
    ]
    authentication.negotiations.register("Bearer", lambda seen: Bearer(made, admission, seen))


def _ntlm(
    authentication: Authentication,
    settings: Settings,
    directory: Directory,
    admission: Admission,
    clock: Clock,
    entropy: Entropy,
) -> Callable[[Circumstances], Context]:
    host = settings.server.hostname
    own = NtlmSettings(
        netbios_domain=settings.ntlm.domain.upper(),
        netbios_computer=host.partition(".")[0].upper()[:_NETBIOS_LENGTH],
        dns_computer=host,
        dns_domain=host.partition(".")[2],
        names=frozenset(name.lower() for name in settings.ntlm.names),
        require_mic=settings.ntlm.require_mic,
    )
    winbind = None
    if settings.ntlm.winbind:
        winbind = Winbind(settings.ntlm.helper)
        authentication.negotiations.when_closed(winbind.close)
    verifier = DirectoryHashes(directory, authentication.login_names, entropy, winbind, settings.ntlm.domain)
    return lambda seen: NtlmContext(own, verifier, admission, seen, clock, entropy)

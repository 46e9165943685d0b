"""What a worker knows of other servers by their certificates, put together from settings, directory and files."""

from __future__ import annotations

import ssl
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from cryptography import x509

from postern.certificates.place import Place
from postern.config.settings import Settings
from postern.delivery.smtp.contexts import Contexts
from postern.directory.interface import Directory
from postern.formats.certificate import read
from postern.model.partners import Partner
from postern.model.ports import Clock
from postern.net.tls import FileState, file_state
from postern.services.server_trust import ServerTrust
from postern.telemetry import log

if TYPE_CHECKING:
    from datetime import datetime

    from postern.net.asking import AskingContext
    from postern.services.mechanisms.kerberos_client import KerberosInitiator


def partners(settings: Settings) -> tuple[Partner, ...]:
    """From the settings' words."""
    return tuple(
        Partner(
            name=one.name,
            domains=tuple(domain.lower().removeprefix("*") for domain in one.domains),
            authority=one.authority,
            names=tuple(name.lower() for name in one.names),
            pins=tuple(pin.lower() for pin in one.pins),
            send=one.send,
            receive=one.receive,
        )
        for one in settings.partner
    )


class PeerCertificates:
    """One per worker: the SMTP front end's `Peers`, and what next hops are shown and judged by."""

    def __init__(self, settings: Settings, directory: Directory, clock: Clock) -> None:
        self._settings = settings
        self._place = Place(settings.data_dir)
        self._log = log.logger(part="peers")
        self._authority: tuple[FileState, x509.Certificate | None] = ((), None)
        self._asking: tuple[FileState, AskingContext | None] = ((), None)
        self.initiator = _initiator(settings)
        """Signs in to the organisation's other servers; None without a keytab."""
        self.trust = ServerTrust(directory, partners(settings), self._own_authority, _unproved, clock, self._log)

    def contexts(self) -> Contexts:
        """For next hops."""
        identity = self._place.identity
        return Contexts(
            identity=(identity.certificate, identity.key),
            certificate=(self._settings.client_certificate, self._settings.client_key),
        )

    async def context(self) -> AskingContext | None:
        """The context that asks for certificates, with the files as they are now; None: nobody's matters."""
        if not await self.trust.asks():
            return None
        settings, identity = self._settings, self._place.identity
        state = file_state(settings.certificate, settings.key, identity.certificate, identity.key)
        if self._asking[0] != state:
            self._asking = (state, self._make() or self._asking[1])
        return self._asking[1]

    def _make(self) -> AskingContext | None:
        """None: a file is broken, and the context before it stays."""
        from postern.net.asking import AskingContext  # another TLS library: loaded where it is needed

        settings, identity = self._settings, self._place.identity
        try:
            return AskingContext(settings.certificate, settings.key, (identity.certificate, identity.key))
        except (OSError, ssl.SSLError, ValueError) as problem:
            self._log.error(
                "peer.context_refused", reason=str(problem), advice="`postern cert check` shows what is wrong"
            )
            return None

    async def server(self, chain: Sequence[bytes], address: str) -> str:
        """Which of the organisation's servers a peer is."""
        return await self.trust.server(chain, address)

    async def check_sender(self, reverse_path: str, chain: Sequence[bytes], *, tls: bool) -> None:
        """Whether it may send in that name. Raises Refusal."""
        await self.trust.check_sender(reverse_path, chain, tls=tls)

    async def server_of(self, principal: str) -> str:
        """Which of the organisation's servers has that Kerberos principal."""
        return await self.trust.server_of(principal)

    def close(self) -> None:
        """Stop threads."""
        if self.initiator is not None:
            self.initiator.close()

    def _own_authority(self) -> x509.Certificate | None:
        path = self._place.authority.certificate
        state = file_state(path)
        if self._authority[0] != state:
            try:
                found = read(path.read_bytes())[0]
            except (OSError, ValueError):
                found = None
            self._authority = (state, found)
        return self._authority[1]


def _initiator(settings: Settings) -> KerberosInitiator | None:
    if not settings.kerberos.keytab:
        return None
    from postern.services.mechanisms.kerberos_client import KerberosInitiator

    return KerberosInitiator(Path(settings.kerberos.keytab), settings.kerberos.principal)


def _unproved(chain: Sequence[bytes], authority: str, now: datetime) -> str:
    from postern.net.chains import unproved

    return unproved(chain, authority, now)

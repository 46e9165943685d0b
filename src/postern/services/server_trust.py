"""Who a peer with a certificate is: another server of the organisation (direct trust), or a partner (domain security).

Direct trust goes by key: the directory has pins of the organisation's servers (or says that their name in a
certificate of the organisation's own authority is enough), or else the principal as whom they sign in with Kerberos.
Domain security goes by authority and name, or by key. Either way the certificate has to be within its time and made
for that end of a connection.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

import msgspec
from cryptography import x509

from postern.directory.interface import Directory, Server
from postern.formats.certificate import Purpose, facts, flaw, issued_by, pin, valid_for
from postern.model.partners import Partner, partner_of
from postern.model.ports import Clock
from postern.model.refusal import Reason, Refusal

Unproved = Callable[[Sequence[bytes], str, datetime], str]
"""Why a chain does not go back to an authority (net.chains.unproved)."""


class Verdict(msgspec.Struct, frozen=True):
    """What a certificate proves."""

    server: str = ""
    """Name of the organisation's server it is; empty: of none."""
    problem: str = ""
    """Why not, where it comes near: for the log."""


class ServerTrust:
    """One per worker."""

    def __init__(
        self,
        directory: Directory,
        partners: tuple[Partner, ...],
        authority: Callable[[], x509.Certificate | None],
        unproved: Unproved,
        clock: Clock,
        log: Any,
    ) -> None:
        """`authority` is the organisation's own, if it has one."""
        self._directory = directory
        self._partners = partners
        self._authority = authority
        self.unproved = unproved
        self._clock = clock
        self._log = log

    # --- peers that connect to us
    async def asks(self) -> bool:
        """Whether anybody's certificate could matter."""
        if any(one.receive for one in self._partners):
            return True
        return any(one.pins or one.by_authority for one in await self._directory.servers())

    async def server(self, chain: Sequence[bytes], address: str) -> str:
        """Which of the organisation's servers a peer is (DER, its own certificate first); empty: none of them."""
        verdict = await self._verdict(chain, Purpose.CLIENT, "")
        if verdict.problem:
            self._log.warning("peer.certificate_refused", peer=address, reason=verdict.problem)
        return verdict.server

    async def server_of(self, principal: str) -> str:
        """Which of the organisation's servers has that Kerberos principal; empty: none of them."""
        return next((one.name for one in await self._directory.servers() if one.principal == principal), "")

    async def check_sender(self, reverse_path: str, chain: Sequence[bytes], *, tls: bool) -> None:
        """Whether a peer may send in that name.

        Raises Refusal: PEER_NOT_AUTHENTICATED without TLS or certificate, PEER_CERTIFICATE for one that proves nothing.
        """
        if not self._partners:
            return
        domain = reverse_path.rpartition("@")[2].lower()
        partner = partner_of(domain, self._partners) if domain else None
        if partner is None or not partner.receive:
            return
        if not chain:
            lack = "shows no certificate" if tls else "does not use TLS"
            raise Refusal(Reason.PEER_NOT_AUTHENTICATED, f"{domain} is partner {partner.name}'s, and the peer {lack}")
        problem = self.partner_problem(partner, chain, Purpose.CLIENT)
        if problem:
            raise Refusal(Reason.PEER_CERTIFICATE, f"partner {partner.name}: {problem}")

    # --- peers that we connect to
    async def server_problem(self, host: str, chain: Sequence[bytes]) -> str:
        """Why a next hop is not the organisation's server of that name; empty: it is."""
        verdict = await self._verdict(chain, Purpose.SERVER, host.lower().rstrip("."))
        return "" if verdict.server else verdict.problem or "its certificate is not the one known of it"

    async def kerberos_service(self, host: str) -> str:
        """The service by which a next hop proves itself with Kerberos (`smtp/HOST@REALM`); empty: it does not."""
        name = host.lower().rstrip(".")
        server = next((one for one in await self._directory.servers() if one.name == name), None)
        return f"smtp/{name}@{server.principal.rpartition('@')[2]}" if server and server.principal else ""

    def partner_problem(self, partner: Partner, chain: Sequence[bytes], purpose: Purpose) -> str:
        """Why a certificate does not prove that somebody is a partner; empty: it does."""
        try:
            own = x509.load_der_x509_certificate(chain[0])
            names = facts(own).names
        except (IndexError, ValueError) as problem:
            return f"its certificate cannot be read: {problem}"
        now = self._clock.now()
        wrong = flaw(own, purpose, now)
        if wrong is not None:
            return f"its certificate is refused: {wrong.text}"
        if partner.pins:
            return "" if pin(own) in partner.pins else f"its key {pin(own)} is not pinned"
        unproved = self.unproved(chain, partner.authority, now)
        if unproved:
            return f"its certificate is refused: {unproved}"
        if any(map(partner.hosts, names)):
            return ""
        return f"its certificate is for {', '.join(names[:8]) or 'nothing'}: none of them is the partner's"

    # --- behind them
    async def _verdict(self, chain: Sequence[bytes], purpose: Purpose, wanted: str) -> Verdict:
        """Which server a certificate proves; `wanted`: that one or none."""
        if not chain:
            return Verdict(problem="it shows no certificate")
        try:
            own = x509.load_der_x509_certificate(chain[0])
            key = pin(own)
        except ValueError as problem:
            return Verdict(problem=f"its certificate cannot be read: {problem}")
        known = [one for one in await self._directory.servers() if not wanted or one.name == wanted]
        if wanted and not known:
            return Verdict(problem=f"there is no server {wanted} in the directory (`postern server add`)")
        server = next((one for one in known if key in one.pins or self._by_authority(one, own)), None)
        if server is None:
            named = next((one.name for one in known if wanted or valid_for(own, one.name)), "")
            return Verdict(problem=f"it says to be {named}, but its key {key} is not the one known" if named else "")
        wrong = flaw(own, purpose, self._clock.now())
        if wrong is not None:
            return Verdict(problem=f"the certificate of {server.name} is refused: {wrong.text}")
        return Verdict(server=server.name)

    def _by_authority(self, server: Server, own: x509.Certificate) -> bool:
        if not server.by_authority:
            return False
        authority = self._authority()
        if authority is None or self._clock.now() > authority.not_valid_after_utc:
            return False
        return issued_by(own, authority) and valid_for(own, server.name)

"""The background process's care for certificates: how long they last, and their renewal by ACME."""

from __future__ import annotations

import asyncio
import datetime
from typing import Any

from cryptography import x509

from postern.certificates.inventory import Entry, inventory
from postern.certificates.place import Pair, Place
from postern.config.settings import Settings
from postern.formats.certificate import facts, read, renewal_due, valid_for
from postern.model.ports import Clock
from postern.model.refusal import Reason, Refusal
from postern.roles.gauges import CERTIFICATE_USES, ServerMetrics

LOOK_EVERY_S = 60.0
TELL_EVERY_S = 86400.0
"""A certificate that needs somebody is in the log once a day."""
RETRY_S = 3600.0
"""After a failed order; each further failure doubles it. Let's Encrypt takes five failures an hour."""
RETRY_MOST_S = 86400.0


class CertificateCare:
    """One for a server."""

    def __init__(self, settings: Settings, metrics: ServerMetrics, clock: Clock, log: Any) -> None:
        self._settings = settings
        self._metrics = metrics
        self._clock = clock
        self._log = log
        self._place = Place(settings.data_dir)
        self._told: dict[tuple[str, str], float] = {}
        self._retry_s = RETRY_S
        self._not_before = 0.0

    async def look(self) -> None:
        """Measure, warn, renew; called every `LOOK_EVERY_S`."""
        self.measure()
        if self._settings.acme.directory and self._clock.monotonic() >= self._not_before:
            due = self.due()
            if due:
                await self._renew(due)

    def measure(self) -> None:
        """Gauges and warnings."""
        settings = self._settings
        ends = dict.fromkeys(CERTIFICATE_USES, 0)
        for entry in inventory(
            self._place,
            Pair(settings.certificate, settings.key),
            Pair(settings.client_certificate, settings.client_key),
            self._clock.now(),
            settings.tls.warn_days,
        ):
            if entry.use in ends:
                ends[entry.use] = entry.facts.not_after if entry.facts else 0
                self._tell(entry)
        for use, end in ends.items():
            self._metrics.certificates[use].set(end)

    def _tell(self, entry: Entry) -> None:
        if entry.state == "valid":
            return
        key, now = (entry.use, entry.state), self._clock.monotonic()
        if key in self._told and now - self._told[key] < TELL_EVERY_S:
            return
        self._told[key] = now
        self._log.warning(
            "certificate.needs_care",
            use=entry.use,
            certificate=str(entry.path),
            state=entry.state,
            days=entry.days,
            reason=entry.text,
        )

    def due(self) -> str:
        """Why a certificate has to be ordered now; empty: it has not."""
        own = self._settings.acme
        try:
            present = read(self._settings.certificate.read_bytes())[0]
            return _why(present, own.names or (self._settings.server.hostname,), self._clock.now(), own.renew_days)
        except (OSError, ValueError) as problem:
            return f"the present one cannot be read: {problem}"

    async def _renew(self, why: str) -> None:
        self._log.info("certificate.renewing", directory=self._settings.acme.directory, reason=why)
        try:
            await asyncio.to_thread(self._order)
        except (OSError, Refusal) as problem:
            text = problem.detail if isinstance(problem, Refusal) else str(problem)
            if isinstance(problem, Refusal) and problem.reason is Reason.IN_USE:
                return  # an administrator's own order
            self._not_before = self._clock.monotonic() + self._retry_s
            self._metrics.certificate_renewals["failed"].add()
            self._log.error("certificate.renewal_failed", reason=text, again_in_s=int(self._retry_s))
            self._retry_s = min(self._retry_s * 2, RETRY_MOST_S)
            return
        self._retry_s, self._not_before = RETRY_S, self._clock.monotonic() + RETRY_S
        self._metrics.certificate_renewals["done"].add()
        self._log.info("certificate.renewed", certificate=str(self._settings.certificate))
        self.measure()

    def _order(self) -> None:
        from postern.roles.renewal import obtain  # brings an HTTP client along, for one hour in sixty days

        obtain(self._settings, self._clock)


def _why(present: x509.Certificate, names: tuple[str, ...], now: datetime.datetime, days: int) -> str:
    known = facts(present)
    missing = [name for name in names if name.lower() not in known.names and not valid_for(present, name)]
    if known.self_signed:
        return "the present one is self-signed"
    if missing:
        return f"{', '.join(missing)} is not in the present one"
    return "the present one ends soon" if renewal_due(present, now, days) else ""

"""The server's metrics: declared before the fork, written by every process."""

from __future__ import annotations

from collections.abc import Iterable

from postern.certificates.inventory import AUTHORITY, IDENTITY, LISTENERS, PARTNERS
from postern.model.refusal import Reason
from postern.telemetry.metrics import Counter, Gauge, Registry

CERTIFICATE_USES = (LISTENERS, PARTNERS, IDENTITY, AUTHORITY)
LAG_BUCKETS_S = (0.001, 0.004, 0.016, 0.064, 0.256, 1.0)


class ServerMetrics:
    """All series, by what they mean."""

    def __init__(self, listeners: Iterable[str] = ()) -> None:
        registry = self.registry = Registry()
        self.restarts = registry.counter("postern_process_restarts_total", "Processes started again after a crash.")
        self.processes = registry.gauge("postern_processes", "Processes that serve.")
        self.heartbeat = registry.gauge(
            "postern_heartbeat_seconds", "Monotonic time of the latest sign of life.", highest=True
        )
        self.lag = registry.histogram(
            "postern_loop_lag_seconds", "How late timers of the event loops were.", bounds=LAG_BUCKETS_S
        )
        self.lag_now = registry.gauge(
            "postern_loop_lag_now_seconds", "Lag of the slowest event loop lately.", highest=True
        )
        self.errors = registry.counter("postern_session_errors_total", "Sessions that ended by an error of ours.")
        self.journal_records = registry.counter("postern_journal_records_total", "Records made durable.")
        self.journal_syncs = registry.counter("postern_journal_syncs_total", "Syncs of journals.")
        self.outstanding = registry.gauge("postern_journal_outstanding", "Messages accepted and not yet applied.")
        self.queue_length = registry.gauge("postern_queue_messages", "Entries in the queue.", highest=True)
        self.resident = registry.gauge("postern_resident_bytes", "Resident memory of all processes.")
        self.certificates = {
            use: registry.gauge(
                "postern_certificate_not_after_seconds",
                "When a certificate ends, seconds since 1970; 0: there is none, or it cannot be read.",
                {"use": use},
                highest=True,
            )
            for use in CERTIFICATE_USES
        }
        self.certificate_renewals = {
            outcome: registry.counter(
                "postern_certificate_renewals_total", "Renewals by ACME that were tried.", {"outcome": outcome}
            )
            for outcome in ("done", "failed")
        }
        self.accepted = registry.counter("postern_messages_accepted_total", "Messages answered with 250.")
        self.accepted_octets = registry.counter("postern_accepted_bytes_total", "Their octets.")
        self.accepted_recipients = registry.counter("postern_accepted_recipients_total", "Their recipients.")
        self.smtp_refusals = {
            reason.value: registry.counter(
                "postern_smtp_refusals_total", "SMTP commands refused.", {"reason": reason.value}
            )
            for reason in Reason
        }
        self.http_answers = {
            kind: registry.counter("postern_http_answers_total", "HTTP requests answered.", {"status": f"{kind}xx"})
            for kind in (1, 2, 3, 4, 5)
        }
        self.connections: dict[str, Counter] = {}
        self.refused: dict[str, Counter] = {}
        self.open: dict[str, Gauge] = {}
        self.declare(listeners)

    def declare(self, listeners: Iterable[str]) -> None:
        """Series of more listeners; before the fork only."""
        for path in listeners:
            labels = {"listener": path}
            self.connections[path] = self.registry.counter("postern_connections_total", "Connections taken.", labels)
            self.refused[path] = self.registry.counter(
                "postern_connections_refused_total", "Connections closed at once because too many were open.", labels
            )
            self.open[path] = self.registry.gauge("postern_connections", "Open connections.", labels)

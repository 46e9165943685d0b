"""Metrics and health: applications for Prometheus and load balancers."""

from __future__ import annotations

import time

import msgspec

from postern.frontends.http.asgi import Answer, Application, Receive, Scope, Send
from postern.roles.gauges import ServerMetrics

STALE_S = 10.0
"""A process without a sign of life for this long is not well."""
_METRICS_KIND = b"text/plain; version=0.0.4; charset=utf-8"


class Pages:
    """What every process knows of all by the shared table."""

    def __init__(self, metrics: ServerMetrics, processes: int) -> None:
        """`processes` are how many should serve."""
        self._metrics = metrics
        self._processes = processes

    async def metrics(self, scope: Scope, receive: Receive, send: Send) -> None:
        """/metrics, on loopback only."""
        text = self._metrics.registry.render().encode()
        await _reading(scope, Answer(200, text, _METRICS_KIND))(scope, receive, send)

    async def health(self, scope: Scope, receive: Receive, send: Send) -> None:
        """/health with all it says, on loopback only."""
        healthy, report = self.report()
        await _reading(scope, Answer(200 if healthy else 503, report, b"application/json"))(scope, receive, send)

    async def short_health(self, scope: Scope, receive: Receive, send: Send) -> None:
        """/health for load balancers: whether to send anybody here."""
        healthy, _ = self.report()
        body = b'{"status":"ok"}\n' if healthy else b'{"status":"degraded"}\n'
        await _reading(scope, Answer(200 if healthy else 503, body, b"application/json"))(scope, receive, send)

    def report(self) -> tuple[bool, bytes]:
        """Whether every process serves, and a report in JSON."""
        now = time.monotonic()
        beats = [beat for beat in self._metrics.registry.values("postern_heartbeat_seconds") if beat]
        alive = sum(now - beat < STALE_S for beat in beats)
        serving = int(self._metrics.registry.value("postern_processes"))
        healthy = serving >= self._processes and alive >= self._processes
        report = {
            "status": "ok" if healthy else "degraded",
            "processes": self._processes,
            "serving": serving,
            "responsive": alive,
            "queue": int(self._metrics.registry.value("postern_queue_messages")),
            "loop_lag_s": round(self._metrics.registry.value("postern_loop_lag_now_seconds"), 4),
        }
        return healthy, msgspec.json.encode(report) + b"\n"


def _reading(scope: Scope, answer: Answer) -> Application:
    if scope["method"] in ("GET", "HEAD"):
        return answer
    return Answer(405, b"only GET\n", fields=((b"allow", b"GET, HEAD"),))

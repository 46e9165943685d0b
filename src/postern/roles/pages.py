"""The metrics and health page: just enough HTTP/1.1 for Prometheus and load balancers, on loopback."""

from __future__ import annotations

import time

import msgspec

from postern.net.stream import Stream
from postern.roles.gauges import ServerMetrics

REQUEST_BYTES = 8192
REQUEST_TIMEOUT_S = 10.0
STALE_S = 10.0
"""A process without a sign of life for this long is not well."""


class Pages:
    """Serves GET and HEAD of /metrics and /health."""

    def __init__(self, metrics: ServerMetrics, processes: int) -> None:
        """`processes` are how many should serve."""
        self._metrics = metrics
        self._processes = processes

    async def handle(self, stream: Stream) -> None:
        """One connection; keep-alive as HTTP/1.1 has it."""
        buffered = b""
        while True:
            while b"\r\n\r\n" not in buffered:
                data = await stream.read(REQUEST_TIMEOUT_S)
                buffered += data
                if not data or len(buffered) > REQUEST_BYTES:
                    return
            request, _, buffered = buffered.partition(b"\r\n\r\n")
            line, *headers = request.split(b"\r\n")
            method, _, rest = line.partition(b" ")
            status, kind, body = self._answer(method, rest.partition(b" ")[0].partition(b"?")[0])
            close = b"connection: close" in (header.lower().strip() for header in headers) or not rest.endswith(b"/1.1")
            stream.write(
                b"HTTP/1.1 %b\r\nContent-Type: %b\r\nContent-Length: %d\r\nCache-Control: no-store\r\n%b\r\n%b"
                % (
                    status,
                    kind,
                    len(body),
                    b"Connection: close\r\n" if close else b"",
                    b"" if method == b"HEAD" else body,
                )
            )
            if close:
                return

    def _answer(self, method: bytes, path: bytes) -> tuple[bytes, bytes, bytes]:
        if method not in (b"GET", b"HEAD"):
            return b"405 Method Not Allowed", b"text/plain", b"only GET\n"
        if path == b"/metrics":
            return b"200 OK", b"text/plain; version=0.0.4; charset=utf-8", self._metrics.registry.render().encode()
        if path == b"/health":
            healthy, report = self.health()
            return b"200 OK" if healthy else b"503 Service Unavailable", b"application/json", report
        return b"404 Not Found", b"text/plain", b"/metrics or /health\n"

    def health(self) -> tuple[bool, bytes]:
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

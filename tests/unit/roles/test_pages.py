"""The metrics and health pages, as applications."""

from __future__ import annotations

import json
import time

import pytest

from postern.frontends.http.asgi import Application
from postern.roles.gauges import ServerMetrics
from postern.roles.pages import Pages


async def ask(application: Application, method: str = "GET") -> tuple[int, dict[bytes, bytes], bytes]:
    sent: list[dict] = []

    async def send(message) -> None:
        sent.append(message)

    async def receive():
        return {"type": "http.request", "body": b"", "more_body": False}

    await application({"type": "http", "method": method, "headers": []}, receive, send)
    body = b"".join(message.get("body", b"") for message in sent)
    return sent[0]["status"], dict(sent[0]["headers"]), body


async def test_health_follows_the_processes():
    metrics = ServerMetrics(["smtp"])
    pages = Pages(metrics, 2)
    assert (await ask(pages.health))[0] == 503
    for process in (1, 2):
        metrics.registry.activate(process)
        metrics.heartbeat.set(time.monotonic())
        metrics.processes.set(1)
    status, _, body = await ask(pages.health)
    assert status == 200 and json.loads(body)["status"] == "ok"
    assert (await ask(pages.short_health))[0] == 200
    metrics.heartbeat.set(time.monotonic() - 60)
    assert (await ask(pages.health))[0] == 503
    status, _, body = await ask(pages.short_health)
    assert status == 503 and json.loads(body) == {"status": "degraded"}, "strangers learn no more than that"


async def test_metrics_name_the_listeners():
    status, headers, body = await ask(Pages(ServerMetrics(["smtp"]), 0).metrics)
    assert status == 200 and b'postern_connections_total{listener="smtp"} 0' in body
    assert headers[b"content-type"].startswith(b"text/plain; version=0.0.4")


@pytest.mark.parametrize("page", ["metrics", "health", "short_health"])
async def test_pages_are_read_only(page):
    pages = Pages(ServerMetrics(), 0)
    assert (await ask(getattr(pages, page), "POST"))[0] == 405

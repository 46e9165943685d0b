"""Web connections and sessions end with their account, in every worker at once."""

from __future__ import annotations

import base64
import http.client
import re
from pathlib import Path
from urllib.parse import urlencode

import pytest
from tests.integration.organisation import PASSWORD, Running, make_organisation, make_settings
from tests.integration.test_life_cycle import change, disable, insecure, new_password
from tests.stopwatch import stopwatch

pytestmark = pytest.mark.integration

USER = "anna@example.org"
CONNECTIONS = 8
"""So many that both workers have some."""


@pytest.fixture
def server(tmp_path):
    settings = make_settings(tmp_path)
    make_organisation(settings)
    running = Running(settings)
    running.wait_ready()
    yield running
    assert running.stop() == 0


def connect(server: Running) -> http.client.HTTPSConnection:
    return http.client.HTTPSConnection("127.0.0.1", server.ports["https"], context=insecure(), timeout=60)


def ask(client: http.client.HTTPSConnection, fields: dict[str, str]) -> int:
    client.request("GET", "/whoami", headers=fields)
    answer = client.getresponse()
    answer.read()
    return answer.status


def signed_in(server: Running) -> str:
    """A browser's cookie."""
    client = connect(server)
    client.request("GET", "/auth/sign-in")
    page = client.getresponse()
    key = re.search(rb'name="key" value="([^"]+)"', page.read())
    cookie = page.headers["set-cookie"].partition(";")[0]
    body = urlencode({"key": key[1].decode(), "user": USER, "password": PASSWORD})
    client.request(
        "POST", "/auth/sign-in", body, {"Cookie": cookie, "Content-Type": "application/x-www-form-urlencoded"}
    )
    answer = client.getresponse()
    answer.read()
    client.close()
    assert answer.status == 303
    return next(one.partition(";")[0] for one in answer.headers.get_all("set-cookie") if "postern=" in one)


@pytest.mark.parametrize("work", [disable, new_password])
def test_every_connection_ends_and_no_session_is_left(server, work):
    basic = {"Authorization": "Basic " + base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()}
    cookie = {"Cookie": signed_in(server)}
    clients = [connect(server) for _ in range(CONNECTIONS)]
    for number, client in enumerate(clients):
        assert ask(client, basic if number % 2 else cookie) == 200
    workers = {line["session"].partition("-")[0] for line in server.lines() if line["event"] == "http.signed_in"}
    assert len(workers) == 2, "only one worker was asked"
    with stopwatch() as took:
        change(server, work)
        for client in clients:
            assert client.sock.recv(1) == b""
            client.close()
    assert took.seconds < 2.0
    for fields in (basic, cookie) * CONNECTIONS:
        again = connect(server)
        assert ask(again, fields) == 401
        again.close()


def test_a_port_that_is_switched_off_loads_nothing_of_it(tmp_path):
    """Whoever has no HTTP listener has none of its libraries in memory."""
    from msgspec.structs import replace

    settings = make_settings(tmp_path)
    off = {name: replace(settings.listen[name], enabled=False) for name in ("https", "http")}
    settings = replace(settings, listen=settings.listen | off)
    make_organisation(settings)
    running = Running(settings)
    try:
        running.wait_ready()
        children = running.children()
        for name, pid in children.items():
            maps = Path(f"/proc/{pid}/maps").read_text()
            assert ("httptools" in maps) is (name == "background"), name
            assert "markupsafe" not in maps
    finally:
        running.kill()

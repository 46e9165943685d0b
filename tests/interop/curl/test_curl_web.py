"""curl against the web host: Basic, Digest, redirects, limits of what it may do."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import requests
from msgspec.structs import replace
from requests.auth import HTTPDigestAuth
from tests.integration.organisation import PASSWORD, Running, make_organisation, make_settings

from postern.cli.organisation import keep_keys, open_directory, run
from postern.config.settings import Listener

pytestmark = pytest.mark.interop

USER = f"anna@example.org:{PASSWORD}"


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    settings = make_settings(tmp_path_factory.mktemp("data"))
    listen = settings.listen | {"https": Listener(port=settings.listen["https"].port, mechanisms=("Digest", "Basic"))}
    authentication = replace(settings.authentication, keep_digest=True)
    settings = replace(settings, listen=listen, authentication=authentication)
    make_organisation(settings)

    async def keep():
        async with open_directory(settings) as directory:
            account = await directory.login("anna@example.org")
            await keep_keys(directory, settings, account, PASSWORD)

    run(keep)
    running = Running(settings)
    running.wait_ready()
    yield running
    assert running.stop() == 0


def authority(server: Running) -> str:
    return str(server.settings.data_dir / "tls" / "authority.pem")


@pytest.fixture
def curl(program, run, server):
    """curl that trusts the server's certificate and knows its name."""
    port = server.ports["https"]
    common = (
        program("curl"), "-sS", "--max-time", "20", "--cacert", authority(server),
        "--resolve", f"mail.example.org:{port}:127.0.0.1",
    )  # fmt: skip
    base = f"https://mail.example.org:{port}"

    def ask(path: str, *options: str, check: bool = True) -> str:
        return run(*common, *options, base + path, check=check).stdout

    return ask


@pytest.mark.parametrize(
    ("option", "mechanism"), [("--basic", "Basic"), ("--digest", "Digest"), ("--anyauth", "Digest")]
)
def test_mechanisms(curl, option, mechanism):
    facts = json.loads(curl("/whoami", option, "-u", USER))
    assert (facts["address"], facts["mechanism"]) == ("anna@example.org", mechanism)
    status = curl("/whoami", option, "-u", "anna@example.org:wrong", "-o", "/dev/null", "-w", "%{http_code}")
    assert status == "401"


def test_many_digests_over_one_connection_and_with_content(curl, tmp_path: Path):
    url = ["/whoami?[1-8]"]
    answers = curl(*url, "--digest", "-u", USER, "-w", "\n")
    assert answers.count('"mechanism":"Digest"') == 8
    content = tmp_path / "content"
    content.write_bytes(b"x" * 300_000)
    status = curl(
        "/whoami", "--digest", "-u", USER, "--data-binary", f"@{content}", "-w", "%{http_code}", "-o", "/dev/null"
    )
    assert status in ("405", "413")


def test_the_listener_without_tls_leads_to_the_one_with_it(program, run, server):
    ports = server.ports
    answer = run(
        program("curl"), "-sS", "-L", "--max-time", "20", "--cacert", authority(server),
        "--resolve", f"mail.example.org:{ports['http']}:127.0.0.1",
        "--resolve", f"mail.example.org:{ports['https']}:127.0.0.1",
        f"http://mail.example.org:{ports['http']}/health",
    )  # fmt: skip
    assert json.loads(answer.stdout) == {"status": "ok"}


def test_an_upgrade_to_http_2_is_declined(program, run, server):
    port = server.ports["http"]
    answer = run(program("curl"), "-sS", "--http2", "-o", "/dev/null", "-w", "%{http_code} %{http_version}",
                 f"http://127.0.0.1:{port}/")  # fmt: skip
    assert answer.stdout == "308 1.1"


def test_requests(server):
    base = f"https://localhost:{server.ports['https']}"
    with requests.Session() as session:
        session.trust_env = False
        session.verify = authority(server)
        assert session.get(f"{base}/whoami", timeout=60).status_code == 401
        basic = session.get(f"{base}/whoami", auth=("boris@example.org", PASSWORD), timeout=60)
        assert basic.json()["mechanism"] == "Basic"
        digest = HTTPDigestAuth("anna@example.org", PASSWORD)
        for _ in range(3):
            assert session.get(f"{base}/whoami", auth=digest, timeout=60).json()["mechanism"] == "Digest"
        nobody = HTTPDigestAuth("boris@example.org", PASSWORD)
        assert session.get(f"{base}/whoami", auth=nobody, timeout=60).status_code == 401, "no key of his is kept"

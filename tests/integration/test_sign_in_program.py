"""A running server: commands take effect at once, in every worker, and the log tells who came in how."""

from __future__ import annotations

import base64
import contextlib
import imaplib
import json
import smtplib
import ssl
import time

import msgspec
import pytest
from tests.integration.organisation import PASSWORD, Running, make_organisation, make_settings

from postern.cli.main import main
from postern.directory import totp

pytestmark = pytest.mark.integration
ANNA = "anna@example.org"


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    settings = make_settings(tmp_path_factory.mktemp("data"))
    make_organisation(settings)
    running = Running(settings)
    running.wait_ready()
    yield running
    assert running.stop() == 0


@pytest.fixture
def postern(server, tmp_path, capsys):
    config = tmp_path / "postern.toml"
    own = json.dumps(str(server.settings.data_dir))
    config.write_text(f"[server]\ndata = {own}\n[authentication]\nscram_iterations = 4096\n")

    def run(*words: str):
        with contextlib.suppress(SystemExit):
            main([*words, "--config", str(config), "--json"])
        return msgspec.json.decode(capsys.readouterr().out)

    return run


def insecure() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def imap(server, password: str) -> bool:
    client = imaplib.IMAP4_SSL("127.0.0.1", server.ports["imaps"], ssl_context=insecure(), timeout=60)
    try:
        client.login(ANNA, password)
    except imaplib.IMAP4.error as error:
        assert b"Wrong user name or password" in error.args[0]
        return False
    else:
        return True
    finally:
        client.shutdown()


def smtp(server, password: str) -> bool:
    client = smtplib.SMTP_SSL("127.0.0.1", server.ports["submissions"], context=insecure(), timeout=60)
    try:
        client.login(ANNA, password)
    except smtplib.SMTPAuthenticationError as error:
        assert error.smtp_code == 535
        return False
    else:
        return True
    finally:
        client.close()


def test_from_a_password_to_one_time_codes_and_app_passwords(server, postern):
    assert imap(server, PASSWORD) and smtp(server, PASSWORD)
    begun = postern("auth", "totp", "enrol", ANNA)
    code = totp.code(base64.b32decode(begun["secret"]), int(time.time() // 30))
    assert postern("auth", "totp", "confirm", ANNA, code)["confirmed"]
    made = postern("auth", "app-password", "add", ANNA, "phone", "--protocols", "imap")
    assert not imap(server, PASSWORD) and not smtp(server, PASSWORD)
    assert imap(server, made["password"]) and not smtp(server, made["password"])
    explained = postern("auth", "explain", ANNA, "--protocol", "imap", "--from", "127.0.0.1")
    assert explained["outcome"] == "app-password"
    assert postern("auth", "app-password", "list", ANNA)[0]["used_from"] == "127.0.0.1"
    postern("auth", "rule", "add", "closed", "deny", "--protocols", "imap", "--networks", "127.0.0.0/8")
    assert not imap(server, made["password"])
    postern("auth", "rule", "remove", "closed")
    assert imap(server, made["password"])
    postern("auth", "totp", "remove", ANNA)
    assert imap(server, PASSWORD)
    end = time.monotonic() + 60
    while time.monotonic() < end:  # they are written down in batches
        records = postern("auth", "log", "--account", ANNA)
        by_app_password = [record["detail"] for record in records if record["factor"] == "app-password"]
        if len(by_app_password) == 2:
            break
        time.sleep(0.1)
    assert all(record["tls"].startswith("TLSv1.") and record["session"] for record in records)
    assert {record["protocol"] for record in records if record["ok"]} == {"imap", "smtp"}
    assert {"app-password-needed", "app-password-protocol", "rule"} <= {record["cause"] for record in records}
    assert by_app_password == ["phone", "phone"]
    logged = b"".join(path.read_bytes() for path in (server.settings.data_dir / "sign-ins").iterdir())
    assert PASSWORD.encode() not in logged and made["password"].encode() not in logged

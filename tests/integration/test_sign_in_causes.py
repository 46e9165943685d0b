"""Bad tokens over the wire: the client only learns that it failed, the log says why."""

from __future__ import annotations

import base64
import http.client
import smtplib
import ssl

import pytest
from tests.integration.organisation import Running, make_organisation, make_settings

from postern.config.mechanisms import Ntlm
from postern.config.settings import Authentication
from postern.formats import spnego

pytestmark = [pytest.mark.integration, pytest.mark.timeout(60)]

NTLM_BEGIN = b"NTLMSSP\0\1\0\0\0\x97\x82\x08\xe2" + bytes(24)
SOMETHING_ELSE = "1.3.6.1.4.1.99999.7"


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    settings = make_settings(
        tmp_path_factory.mktemp("causes") / "data", workers=1, also=("GSS-SPNEGO", "NTLM"), ntlm=Ntlm(accounts=True),
        authentication=Authentication(failure_delay_s=0.0, failures_per_address=0),
    )  # fmt: skip
    make_organisation(settings)
    running = Running(settings)
    running.wait_ready()
    yield running
    assert running.stop() == 0


def trust(server) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=str(server.settings.data_dir / "tls" / "authority.pem"))


def by_smtp(server, mechanism: str, *tokens: bytes) -> str:
    """The answer to the last of some responses."""
    with smtplib.SMTP_SSL("localhost", server.ports["submissions"], timeout=60, context=trust(server)) as session:
        session.ehlo()
        code, text = session.docmd("AUTH", f"{mechanism} {base64.b64encode(tokens[0]).decode()}")
        for token in tokens[1:]:
            assert code == 334, text
            code, text = session.docmd(base64.b64encode(token).decode())
        return f"{code} {text.decode()}"


def by_http(server, scheme: str, token: bytes) -> tuple[int, str]:
    connection = http.client.HTTPSConnection("localhost", server.ports["https"], timeout=60, context=trust(server))
    try:
        header = f"{scheme} {base64.b64encode(token).decode()}"
        connection.request("GET", "/whoami", headers={"Authorization": header, "Accept": "application/json"})
        response = connection.getresponse()
        return response.status, response.read().decode()
    finally:
        connection.close()


TRUNCATED = pytest.param("NTLM", (NTLM_BEGIN, b"NTLMSSP\0\3\0\0\0\x18\0\x18\0"), "NTLM", id="truncated NTLM")
UNKNOWN = pytest.param(
    "GSS-SPNEGO", (spnego.init((SOMETHING_ELSE,), b"token"),), SOMETHING_ELSE, id="SPNEGO with unknown mechanisms"
)
NO_SPNEGO = pytest.param("GSS-SPNEGO", (b"\x60\x03\x06\x01",), "", id="truncated SPNEGO")


@pytest.mark.parametrize(("mechanism", "tokens", "cause"), [TRUNCATED, UNKNOWN, NO_SPNEGO])
def test_smtp(server, mechanism, tokens, cause):
    since = len(server.lines())
    assert by_smtp(server, mechanism, *tokens) == "535 5.7.8 Authentication credentials invalid"
    told = server.wait_line("smtp.refused", after=since)
    assert (told["stage"], told["reason"]) == ("auth", "bad_credentials")
    assert told["detail"].startswith(mechanism) and cause in told["detail"], told
    assert len(told["detail"]) > len(mechanism) + 10, "it says why"


@pytest.mark.parametrize(("mechanism", "tokens", "cause"), [UNKNOWN, NO_SPNEGO])
def test_http(server, mechanism, tokens, cause):
    since = len(server.lines())
    status, body = by_http(server, "Negotiate", tokens[0])
    assert status == 401
    assert SOMETHING_ELSE not in body
    assert cause in server.wait_line("http.sign_in_refused", after=since)["detail"]


@pytest.mark.parametrize("name", ["*)(uid=*", "anna@example.org)(|(a=*", "anna\\00@example.org"])
def test_ldap_injection_in_a_user_name_finds_nobody(server, name):
    since = len(server.lines())
    answer = by_smtp(server, "PLAIN", b"\0" + name.encode() + b"\0correct horse")
    assert answer == "535 5.7.8 Authentication credentials invalid"
    assert server.wait_line("smtp.refused", after=since)["reason"] == "bad_credentials"

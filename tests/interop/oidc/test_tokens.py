"""curl signs in with tokens of an issuer on SMTP, IMAP and POP3."""

from __future__ import annotations

import pytest
from tests.integration.organisation import Running, make_organisation, make_settings
from tests.interop.oidc.issuer import Issuer

from postern.config.mechanisms import Oidc
from postern.config.settings import Authentication

pytestmark = [pytest.mark.interop, pytest.mark.timeout(120)]


@pytest.fixture(scope="module")
def issuer(tmp_path_factory):
    made = Issuer(tmp_path_factory.mktemp("issuer"))
    yield made
    made.stop()


@pytest.fixture(scope="module")
def server(issuer, tmp_path_factory):
    settings = make_settings(
        tmp_path_factory.mktemp("server") / "data",
        authentication=Authentication(failure_delay_s=0.0, failures_per_address=0),
        oidc=(Oidc(issuer=issuer.url, audience=("mail",), authority=str(issuer.authority)),),
    )
    make_organisation(settings)
    running = Running(settings)
    running.wait_ready()
    yield running
    running.stop()


@pytest.fixture
def curl(program, run, server, tmp_path):
    message = tmp_path / "message"
    message.write_text("From: anna@example.org\r\nTo: boris@example.org\r\nSubject: by token\r\n\r\nhello\r\n")

    def call(scheme, listener, mechanism, token, user="anna@example.org"):
        what = ("--mail-from", user, "--mail-rcpt", "boris@example.org", "-T", str(message))
        return run(
            program("curl"), "-sSv", "--insecure", f"{scheme}://127.0.0.1:{server.ports[listener]}/", "-u", f"{user}:",
            "--oauth2-bearer", token, "--login-options", f"AUTH={mechanism}", *(what if scheme == "smtps" else ()),
            check=False,
        )  # fmt: skip

    return call


@pytest.mark.parametrize("mechanism", ["OAUTHBEARER", "XOAUTH2"])
@pytest.mark.parametrize(("scheme", "listener"), [("smtps", "submissions"), ("imaps", "imaps"), ("pop3s", "pop3s")])
def test_curl_signs_in_with_a_token(curl, issuer, mechanism, scheme, listener):
    result = curl(scheme, listener, mechanism, issuer.token("anna@example.org"))
    assert result.returncode == 0, result.stderr
    since = len(issuer.asked)
    assert curl(scheme, listener, mechanism, issuer.token("anna@example.org")).returncode == 0
    assert len(issuer.asked) <= since + 2, "each of the two workers asks once"


@pytest.mark.parametrize("mechanism", ["OAUTHBEARER", "XOAUTH2"])
@pytest.mark.parametrize(("scheme", "listener"), [("smtps", "submissions"), ("imaps", "imaps"), ("pop3s", "pop3s")])
def test_curl_learns_only_that_it_failed(curl, issuer, server, mechanism, scheme, listener):
    expired = issuer.token("anna@example.org", exp=1000)
    result = curl(scheme, listener, mechanism, expired)
    assert result.returncode != 0
    assert "expired" not in result.stderr.replace("expire date", "")
    others = curl(scheme, listener, mechanism, issuer.token("boris@example.org"))
    assert others.returncode != 0, "the token of boris in a sign-in of anna"


def test_the_cause_is_in_the_log(curl, issuer, server):
    since = len(server.lines())
    curl("smtps", "submissions", "OAUTHBEARER", issuer.token("anna@example.org", aud="another application"))
    assert "udience" in "\n".join(map(str, server.lines()[since:]))

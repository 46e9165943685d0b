"""impacket signs in by NTLM, as scripts and attackers do: password, hash, older protocols, other services."""

from __future__ import annotations

import base64
import http.client
import json
import os
import smtplib
import ssl
import subprocess
import sys

import pytest
from impacket import ntlm
from tests.integration.organisation import PASSWORD, Running, make_organisation, make_settings

from postern.config.mechanisms import Ntlm
from postern.config.settings import Authentication

pytestmark = pytest.mark.interop

NT_HASH = ntlm.compute_nthash(PASSWORD)
"""All that pass-the-hash needs."""


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """boris may use NTLM, because an administrator said so by command while the server was running; anna may not."""
    settings = make_settings(
        tmp_path_factory.mktemp("ntlm") / "data",
        also=("GSS-SPNEGO", "NTLM"),
        ntlm=Ntlm(accounts=True),
        authentication=Authentication(
            failure_delay_s=0.0, failures_per_address=0, failures_per_account=0, failures_per_account_and_address=0
        ),
    )
    make_organisation(settings)
    running = Running(settings)
    try:
        running.wait_ready()
        config = settings.data_dir.with_name("postern.toml")
        config.write_text(f'[server]\ndata = "{settings.data_dir}"\n[ntlm]\naccounts = true\n')
        allowed = subprocess.run(
            [sys.executable, "-m", "postern", "mailbox", "ntlm", "allow", "boris@example.org", "--password", "-"],
            input=f"{PASSWORD}\n", capture_output=True, text=True, timeout=30,
            env={**os.environ, "PYTHONPATH": "src", "POSTERN_CONFIG": str(config), "LC_ALL": "C.UTF-8"},
        )  # fmt: skip
        assert allowed.returncode == 0, allowed.stdout + allowed.stderr
        yield running
    finally:
        running.stop()


def trust(server) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=str(server.settings.data_dir / "tls" / "authority.pem"))


class Client:
    """One exchange; what is not given is right."""

    def __init__(
        self, user="boris@example.org", password=PASSWORD, *, nt_hash="", v2=True, service="", domain="", sign=False
    ):
        self.user, self.password, self.nt_hash = user, password, nt_hash
        self.v2, self.service, self.domain = v2, service, domain
        self.first = ntlm.getNTLMSSPType1(signingRequired=sign, use_ntlmv2=v2)

    def negotiate(self) -> str:
        return base64.b64encode(self.first.getData()).decode()

    def authenticate(self, challenge: str | bytes, service: str) -> str:
        message, _key = ntlm.getNTLMSSPType3(
            self.first, base64.b64decode(challenge), self.user, self.password, self.domain, nthash=self.nt_hash,
            use_ntlmv2=self.v2, service=self.service or service,
        )  # fmt: skip
        return base64.b64encode(message.getData()).decode()


def smtp(server, listener: str, client: Client) -> tuple[int, str]:
    """The answer to AUTH NTLM; who got in sends a message."""
    port = server.ports[listener]
    if listener == "submissions":
        session = smtplib.SMTP_SSL("localhost", port, timeout=60, context=trust(server))
    else:
        session = smtplib.SMTP("localhost", port, timeout=60)
        session.starttls(context=trust(server))
    with session:
        session.ehlo()
        assert "NTLM" in session.esmtp_features["auth"].split()
        code, challenge = session.docmd("AUTH", f"NTLM {client.negotiate()}")
        assert code == 334, challenge
        code, text = session.docmd(client.authenticate(challenge, "smtp"))
        if code == 235:
            session.sendmail("boris@example.org", ["anna@example.org"], "Subject: by NTLM\r\n\r\nhello\r\n")
        return code, text.decode()


def web(server, listener: str, client: Client) -> tuple[int, str]:
    """The answer to /whoami."""
    connection = http.client.HTTPSConnection("localhost", server.ports[listener], timeout=60, context=trust(server))
    try:
        answers = []
        token = client.negotiate()
        for _ in range(2):
            connection.request(
                "GET", "/whoami", headers={"Authorization": f"NTLM {token}", "Accept": "application/json"}
            )
            response = connection.getresponse()
            answers.append((response.status, response.read().decode()))
            offers = [value for name, value in response.getheaders() if name.lower() == "www-authenticate"]
            if len(answers) == 1:
                challenge = next(value for value in offers if value.startswith("NTLM ")).removeprefix("NTLM ")
                token = client.authenticate(challenge, "http")
        assert answers[0][0] == 401
        return answers[1]
    finally:
        connection.close()


PATHS = [(smtp, "submission"), (smtp, "submissions"), (web, "https")]
on_all_paths = pytest.mark.parametrize(("call", "listener"), PATHS, ids=[path for _, path in PATHS])


def accepted(call, answer: tuple[int, str]) -> bool:
    """True or False; an answer that is neither fails the test."""
    code, text = answer
    assert code in ((200, 401) if call is web else (235, 535)), answer
    if code == 200:
        said = json.loads(text)
        assert "boris@example.org" in said.values(), said
        assert "NTLMv2" in text
    return code in (200, 235)


def refused(server, call, listener, client: Client) -> str:
    """What the log says of it; the client must not hear it."""
    since = len(server.lines())
    answer = call(server, listener, client)
    assert not accepted(call, answer)
    event = "http.sign_in_refused" if call is web else "smtp.refused"
    line = server.wait_line(event, after=since)
    assert "NTLM" not in answer[1]
    assert "boris" not in answer[1]
    return str(line)


@on_all_paths
@pytest.mark.parametrize("sign", [False, True], ids=["plain", "key exchange"])
@pytest.mark.parametrize(("user", "domain"), [("boris@example.org", ""), ("boris", ""), ("BORIS", "example.org")])
def test_the_right_password(server, call, listener, user, domain, sign):
    assert accepted(call, call(server, listener, Client(user, domain=domain, sign=sign)))


@on_all_paths
def test_a_wrong_password(server, call, listener):
    assert "wrong password" in refused(server, call, listener, Client(password=PASSWORD + "x"))


@on_all_paths
def test_an_account_that_nobody_allowed(server, call, listener):
    """Its password is right."""
    assert "postern mailbox ntlm allows it" in refused(server, call, listener, Client("anna@example.org"))


@on_all_paths
def test_pass_the_hash_works_with_the_right_hash_as_ntlm_is_made(server, call, listener):
    """NTLM never proves more than the hash: whoever has it needs no password, and no server can tell the difference.

    That is why hashes are kept for single accounts on an administrator's word only.
    """
    assert accepted(call, call(server, listener, Client(password="", nt_hash=NT_HASH)))
    other = NT_HASH[:-1] + bytes((NT_HASH[-1] ^ 1,))
    assert "wrong password" in refused(server, call, listener, Client(password="", nt_hash=other))
    # a right password does not help: the hash counts
    assert "wrong password" in refused(server, call, listener, Client(nt_hash=other))


@on_all_paths
def test_ntlmv1_is_refused_though_the_password_is_right(server, call, listener):
    client = Client(v2=False)
    assert "NTLMv1" in refused(server, call, listener, client)


@on_all_paths
def test_a_proof_for_a_file_server_is_refused(server, call, listener):
    """What impacket says by default: the target that a relayed client of SMB would have named."""
    assert "relayed" in refused(server, call, listener, Client(service="cifs"))

"""Mail programs of Debian sign in with a ticket, with NTLM, and fail with neither."""

from __future__ import annotations

import asyncio
import shlex

import pytest
import requests
from requests_ntlm import HttpNtlmAuth
from tests.integration.organisation import Running, make_organisation, make_settings
from tests.interop.kerberos.conftest import HOST, PASSWORD
from tests.interop.samba import own_run

from postern.config.mechanisms import Kerberos, Ntlm
from postern.config.settings import Authentication
from postern.formats.ntlm import keys
from postern.roles.parts import Parts

pytestmark = [pytest.mark.interop, pytest.mark.timeout(180)]

NTLM_PASSWORD = "correct horse"


@pytest.fixture(scope="module")
def server(kerberos, tmp_path_factory):
    """A member of the domain with two workers."""
    data = tmp_path_factory.mktemp("member") / "data"
    helper = data.with_name("ntlm_auth")
    helper.write_text(
        "#!/bin/sh\nset -- " + shlex.join([*own_run(kerberos.controller.root), "ntlm_auth"]) + ' "$@"\nexec "$@"\n'
    )
    helper.chmod(0o755)
    settings = make_settings(
        data,
        kerberos=Kerberos(keytab=str(kerberos.keytab), realms={kerberos.controller.realm: "example.org"}),
        ntlm=Ntlm(accounts=True, winbind=True, helper=str(helper), domain=kerberos.controller.netbios),
        authentication=Authentication(failure_delay_s=0.0),
    )
    make_organisation(settings)

    async def allow_ntlm() -> None:
        parts = Parts.open(settings, "test", None, 0)
        account = await parts.directory.login("boris@example.org")
        await parts.directory.put_derived_keys(account.id, {"nt": keys.nt_hash(NTLM_PASSWORD)})
        await parts.close()

    asyncio.run(allow_ntlm())
    running = Running(settings, {"KRB5_CONFIG": str(kerberos.controller.krb5_conf)})
    running.wait_ready()
    yield running
    running.stop()


def refusals(server, since: int) -> str:
    return "\n".join(map(str, server.lines()[since:]))


@pytest.fixture
def curl(program, run, server, tmp_path):
    """curl against one of the server's ports, by its name."""
    path = program("curl")
    message = tmp_path / "message"

    def call(scheme, listener, mechanism, user, *more, **environment):
        sender = f"{user.split(':')[0] or 'anna'}@example.org"
        message.write_text(f"From: {sender}\r\nTo: boris@example.org\r\nSubject: by ticket\r\n\r\nhello\r\n")
        port = server.ports[listener]
        sending = scheme.startswith("smtp")
        what = ("--mail-from", sender, "--mail-rcpt", "boris@example.org", "-T",
                str(message)) if sending else ()  # fmt: skip
        return run(
            path, "-sSv", "--insecure", "--resolve", f"{HOST}:{port}:127.0.0.1", f"{scheme}://{HOST}:{port}/",
            "--login-options", f"AUTH={mechanism}", "-u", user, *what, *more, check=False, **environment,
        )  # fmt: skip

    return call


@pytest.mark.parametrize(
    ("scheme", "listener", "more"),
    [
        ("smtp", "submission", ["--ssl-reqd"]),
        ("smtps", "submissions", []),
        ("imap", "imap", ["--ssl-reqd"]),
        ("imaps", "imaps", []),
        ("pop3", "pop3", ["--ssl-reqd"]),
        ("pop3s", "pop3s", []),
    ],
)
def test_curl_signs_in_with_a_ticket(curl, kerberos, scheme, listener, more):
    result = curl(scheme, listener, "GSSAPI", ":", *more, **kerberos.tickets())
    assert result.returncode == 0, result.stderr


def test_curl_without_a_ticket_gets_nowhere(curl, kerberos, tmp_path):
    environment = {**kerberos.tickets(), "KRB5CCNAME": f"FILE:{tmp_path}/none"}
    assert curl("imaps", "imaps", "GSSAPI", ":", **environment).returncode != 0


def test_a_ticket_of_somebody_without_a_mailbox(curl, kerberos, server):
    since = len(server.lines())
    result = curl("smtps", "submissions", "GSSAPI", ":", **kerberos.tickets("nobody-here"))
    assert result.returncode != 0
    assert "535" in result.stderr
    assert "nobody-here" not in "".join(line for line in result.stderr.splitlines() if line.startswith("< 5"))
    assert "nobody signs in as nobody-here@example.org" in refusals(server, since)


def test_curl_sends_with_ntlm(curl, server):
    result = curl("smtps", "submissions", "NTLM", f"boris:{NTLM_PASSWORD}")
    assert result.returncode == 0, result.stderr


def test_wrong_ntlm_is_refused_and_its_cause_is_in_the_log_only(curl, server):
    since = len(server.lines())
    for user, cause in (("boris:wrong", "wrong password"), ("anna:wrong", "the domain says")):
        result = curl("smtps", "submissions", "NTLM", user)
        assert result.returncode != 0
        assert "< 535 5.7.8 Authentication credentials invalid" in result.stderr
        assert cause in refusals(server, since)
        assert cause not in result.stderr


def test_a_user_of_the_domain_by_winbind(curl, web):
    """anna has no NT hash here: the domain controller is asked, and gives the session key."""
    result = curl("smtps", "submissions", "NTLM", f"anna:{PASSWORD}")
    assert result.returncode == 0, result.stderr
    answer = web("--ntlm", "-u", f"CORP\\anna:{PASSWORD}")
    assert answer.stdout.endswith("\n200"), answer.stdout + answer.stderr
    assert web("--ntlm", "-u", "CORP\\anna:wrong").stdout.endswith("\n401")
    assert web("--ntlm", "-u", f"CORP\\nobody-here:{PASSWORD}").stdout.endswith("\n401")


def test_no_ntlm_on_imap_and_pop3(curl):
    for scheme, listener in (("imaps", "imaps"), ("pop3s", "pop3s")):
        result = curl(scheme, listener, "NTLM", f"boris:{NTLM_PASSWORD}")
        assert result.returncode != 0
        assert "NTLM" not in "".join(line for line in result.stderr.splitlines() if line.startswith("<"))


def test_mutt_sends_with_a_ticket(program, run, kerberos, server, tmp_path):
    config = tmp_path / "muttrc"
    config.write_text(
        f'set smtp_url="smtps://anna@{HOST}:{server.ports["submissions"]}/"\nset smtp_authenticators="gssapi"\n'
        f'set from="anna@example.org"\nset ssl_verify_host=no\nset certificate_file="{tmp_path}/trust"\nset copy=no\n'
    )
    (tmp_path / "trust").write_bytes((server.settings.data_dir / "tls" / "certificate.pem").read_bytes())
    (tmp_path / "hosts").write_text(f"127.0.0.1 localhost {HOST}\n")
    script = f'mount --bind {tmp_path}/hosts /etc/hosts && exec "$0" -n -F {config} -s ticket boris@example.org 2>&1'
    tickets = kerberos.tickets()
    for cache, sent in ((tickets["KRB5CCNAME"], True), (f"FILE:{tmp_path}/none", False)):
        result = run(
            program("unshare"), "-m", "sh", "-c", script, program("mutt"), input="hello\n", check=False, TERM="xterm",
            KRB5_CONFIG=tickets["KRB5_CONFIG"], KRB5CCNAME=cache,
        )  # fmt: skip
        assert (result.returncode == 0) is sent, result.stdout


@pytest.fixture
def web(program, run, server):
    """curl asks who it is."""

    def call(*options, **environment):
        port = server.ports["https"]
        return run(
            program("curl"), "-sSk", "-o", "-", "-w", "\n%{http_code}", "--resolve", f"{HOST}:{port}:127.0.0.1",
            *options, f"https://{HOST}:{port}/whoami", "-H", "Accept: application/json", check=False, **environment,
        )  # fmt: skip

    return call


def test_curl_negotiates_with_a_ticket(web, kerberos):
    answer = web("--negotiate", "-u", ":", **kerberos.tickets())
    assert answer.stdout.endswith("\n200"), answer.stdout + answer.stderr
    assert "anna@example.org" in answer.stdout
    assert "Kerberos" in answer.stdout


def test_curl_signs_in_to_the_web_with_ntlm(web):
    for options in (
        ("--ntlm", "-u", f"boris:{NTLM_PASSWORD}"),
        ("--ntlm", "-u", f"EXAMPLE.ORG\\boris:{NTLM_PASSWORD}"),
    ):
        answer = web(*options)
        assert answer.stdout.endswith("\n200"), answer.stdout + answer.stderr
        assert "boris@example.org" in answer.stdout
        assert "NTLMv2" in answer.stdout


@pytest.mark.filterwarnings("ignore:Unverified HTTPS request")
@pytest.mark.parametrize(
    ("user", "password", "status"),
    [
        ("boris@example.org", NTLM_PASSWORD, 200),
        ("boris@example.org", "wrong", 401),
        ("CORP\\anna", PASSWORD, 200),
        ("CORP\\anna", "wrong", 401),
    ],
)
def test_requests_sign_in_to_the_web_with_bound_ntlm(server, user, password, status):
    """requests_ntlm seals the certificate's hash into its proof, and sends a MIC: winbind's session key proves it."""
    with requests.Session() as session:
        session.verify = session.trust_env = False
        session.headers["Accept"] = "application/json"
        session.auth = HttpNtlmAuth(user, password)
        answer = session.get(f"https://127.0.0.1:{server.ports['https']}/whoami", timeout=60)
    assert answer.status_code == status, answer.text
    assert ("@example.org" in answer.text) is (status == 200)


def test_wrong_ones_stay_outside_the_web(web, kerberos, server, tmp_path):
    nowhere = {**kerberos.tickets(), "KRB5CCNAME": f"FILE:{tmp_path}/none"}
    assert web("--negotiate", "-u", ":", **nowhere).stdout.endswith("\n401")
    assert web("--negotiate", "-u", ":", **kerberos.tickets("nobody-here")).stdout.endswith("\n401")
    assert web("--ntlm", "-u", "boris:wrong").stdout.endswith("\n401")
    assert web("--ntlm", "-u", "anna:wrong").stdout.endswith("\n401")

"""The web probe against nginx in the place of Exchange."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
import trustme
from tests.interop.check import peers

from postern.checks.model import Tls
from postern.checks.speaking import DIRECTORIES

pytestmark = pytest.mark.interop
NAMES = ("mail.example.org",)


@pytest.fixture(scope="module")
def authority():
    return trustme.CA()


@pytest.fixture(scope="module")
def server(authority):
    now = datetime.now(UTC)
    with peers.nginx(authority, not_before=now - timedelta(days=90), not_after=now - timedelta(days=1)) as ports:
        yield ports


@pytest.fixture(scope="module")
def trust(authority, tmp_path_factory):
    path = tmp_path_factory.mktemp("trust") / "ca.pem"
    authority.cert_pem.write_to_path(path)
    return path


async def test_virtual_directories_and_their_challenges(server, trust, ask):
    paths = tuple(one.path for one in DIRECTORIES)
    outcome = await ask("127.0.0.1", server["good"], "http", Tls.IMPLICIT, names=NAMES, trust=trust, directories=paths)
    seen = {one.path: one for one in outcome.seen.directories}
    assert seen["/autodiscover/autodiscover.xml"].schemes == ("Negotiate", "NTLM", "Basic")
    assert seen["/owa/"].status == 302
    assert seen["/owa/"].location.endswith("/owa/auth/logon.aspx")
    found = {(one.code, one.expected if one.code.startswith("directory") else one.found) for one in outcome.findings}
    assert found == {
        ("directory-missing", "/microsoft-server-activesync"),
        ("directory-missing", "/ecp/"),
        ("directory-broken", "/mapi/emsmdb/"),
        ("directory-open", "/rpc/rpcproxy.dll"),
        ("challenge-missing", "/ews/exchange.asmx: Bearer"),
    }
    assert outcome.seen.greeting.startswith("nginx")
    assert outcome.seen.tls.trusted is True


async def test_names_of_the_certificate(server, trust, ask, codes):
    for name, wrong in (
        ("a.web.example.org", False),
        ("a.b.web.example.org", True),
        ("web.example.org", True),
        ("mail", False),
    ):
        outcome = await ask("127.0.0.1", server["good"], "http", Tls.IMPLICIT, names=(name,), trust=trust)
        assert ("certificate-name" in codes(outcome)) is wrong, name


async def test_an_expired_certificate_and_an_old_version(server, trust, ask, codes):
    outcome = await ask("127.0.0.1", server["old"], "http", Tls.IMPLICIT, names=NAMES, trust=trust)
    assert codes(outcome) == ["certificate-expired", "tls-old"], outcome
    assert outcome.seen.tls.old == "TLSv1.1"
    assert "expired" in outcome.seen.tls.distrust


async def test_a_server_with_old_versions_only(server, trust, ask, codes):
    outcome = await ask("127.0.0.1", server["oldest"], "http", Tls.IMPLICIT, names=NAMES, trust=trust)
    assert codes(outcome)[0] == "tls-old-only", outcome
    assert outcome.seen.tls.version == "TLSv1.1"


async def test_clear_text_redirect_and_confusions(server, ask, codes):
    outcome = await ask("127.0.0.1", server["plain"], "http")
    assert outcome.findings == ()
    assert outcome.seen.directories[0].location == "https://mail.example.org/owa/"
    assert codes(await ask("127.0.0.1", server["plain"], "http", Tls.IMPLICIT)) == ["tls-failed"]
    assert codes(await ask("127.0.0.1", server["plain"], "ldap")) == ["wrong-protocol"]

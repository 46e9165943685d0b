"""A domain with a mail server's keytab and users, and tickets for them."""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.interop.samba import DomainController

HOST = "mail.example.org"
SERVICES = ("smtp", "imap", "pop", "HTTP")
PASSWORD = "Zebra-7731-x"


@dataclass
class Domain:
    """What a member server and its users have of a domain."""

    controller: DomainController
    keytab: Path
    caches: Path

    def tickets(self, user: str = "anna", password: str = PASSWORD) -> dict[str, str]:
        """Environment of somebody who said kinit."""
        cache = self.caches / user
        environment = {"KRB5_CONFIG": str(self.controller.krb5_conf), "KRB5CCNAME": f"FILE:{cache}"}
        result = subprocess.run(
            ["kinit", f"{user}@{self.controller.realm}"],
            input=f"{password}\n", capture_output=True, text=True, timeout=30, env={**os.environ, **environment},
        )  # fmt: skip
        assert result.returncode == 0, result.stdout + result.stderr
        return environment


@pytest.fixture(scope="session")
def kerberos(domain_controller, tmp_path_factory):
    pytest.importorskip("gssapi", reason="gssapi is not installed: pip install -e '.[kerberos]'")
    root = tmp_path_factory.mktemp("kerberos")
    dc, keytab = domain_controller, root / "postern.keytab"
    dc.tool("user", "create", "postern-mail", PASSWORD)
    for user in ("anna", "boris", "nobody-here"):
        dc.tool("user", "create", user, PASSWORD)
    for service in SERVICES:
        dc.tool("spn", "add", f"{service}/{HOST}", "postern-mail")
        dc.tool("domain", "exportkeytab", str(keytab), f"--principal={service}/{HOST}")
    (root / "caches").mkdir()
    return Domain(dc, keytab, root / "caches")

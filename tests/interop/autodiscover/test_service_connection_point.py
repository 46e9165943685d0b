"""The LDIF of `postern autodiscover scp` goes into Active Directory, and Outlook's search finds it there."""

from __future__ import annotations

import pytest

from postern.protocols.autodiscover import scp

pytestmark = pytest.mark.interop
URL = "https://mail.example.org/autodiscover/autodiscover.xml"


def test_active_directory_takes_the_object(domain_controller, program, run, tmp_path):
    controller = domain_controller
    entries = scp.entries(URL, "mail.example.org", controller.base, ("Default-First-Site-Name",))
    (tmp_path / "scp.ldf").write_text(scp.ldif(entries))
    signed_in = ("-x", "-H", f"ldaps://{controller.address}", "-D", f"Administrator@{controller.realm}", "-w",
                 controller.password)  # fmt: skip
    trust = {"LDAPTLS_REQCERT": "never"}
    names = [name for name, _ in entries]
    try:
        run(program("ldapmodify"), *signed_in, "-f", str(tmp_path / "scp.ldf"), **trust)
        found = run(
            program("ldapsearch"), "-LLL", "-o", "ldif-wrap=no", *signed_in, "-b", scp.configuration(controller.base),
            scp.FILTER, "serviceBindingInformation", "keywords", **trust,
        ).stdout  # fmt: skip
        assert f"dn: {names[1]}".lower() in found.lower()
        assert f"serviceBindingInformation: {URL}" in found
        assert "keywords: Site=Default-First-Site-Name" in found
    finally:
        run(program("ldapdelete"), *signed_in, *reversed(names), check=False, **trust)

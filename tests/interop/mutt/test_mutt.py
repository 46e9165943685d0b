"""mutt sends through submission and reads over IMAP."""

from __future__ import annotations

import time
import uuid

import pytest

pytestmark = pytest.mark.interop


def test_send_and_read(demo, program, run, tmp_path):
    token = uuid.uuid4().hex
    address, password = demo.user(5)
    user, host = address.replace("@", "%40"), demo.host
    rc = tmp_path / "muttrc"
    rc.write_text(
        f"""
set ssl_ca_certificates_file="{demo.data}/tls/certificate.pem"
set certificate_file="{demo.data}/tls/certificate.pem"
set ssl_force_tls=yes
set ssl_verify_host=no
set ssl_starttls=yes
set from="{address}"
set realname="Test"
set smtp_url="smtp://{user}@{host}:{demo.ports["submission"]}/"
set smtp_pass="{password}"
set imap_user="{address}"
set imap_pass="{password}"
set folder="imaps://{host}:{demo.ports["imaps"]}/"
set spoolfile="+INBOX"
set copy=yes
set record="+Sent Items"
set move=no
set confirmappend=no
set header_cache=""
set mail_check=1
"""
    )
    mutt = [program("mutt"), "-n", "-F", str(rc)]
    run(*mutt, "-s", f"привет {token}", address, input="тело письма\n", TERM="xterm")
    time.sleep(0.3)
    saved = tmp_path / "saved"
    keys = f"<limit>~s {token}<enter><tag-pattern>~A<enter><tag-prefix><copy-message>{saved}<enter><quit>"
    run(
        *mutt,
        "-f",
        "+INBOX",
        "-e",
        f'set quit=yes; set delete=yes; push "{keys}"',
        input="",
        timeout=40,
        check=False,
        TERM="xterm",
    )
    run(*mutt, "-Z", check=False, TERM="xterm", input="", timeout=60)
    result = run(
        program("curl"),
        "-sS",
        "-k",
        "--user",
        f"{address}:{password}",
        f"imaps://{host}:{demo.ports['imaps']}/Sent%20Items?SUBJECT%20{token}",
    )
    assert result.stdout.replace("* SEARCH", "").strip(), "the copy is not in Sent"
    found = run(
        program("curl"),
        "-sS",
        "-k",
        "--user",
        f"{address}:{password}",
        f"imaps://{host}:{demo.ports['imaps']}/INBOX?SUBJECT%20{token}",
    )
    assert found.stdout.replace("* SEARCH", "").strip()

"""Every way to write a user's name, by Basic and by NTLM, at the EWS address of a running server."""

from __future__ import annotations

import pytest

pytestmark = pytest.mark.interop

NAMES = [
    "boris@example.org",
    "Boris@Example.ORG",
    "example.org\\boris",
    "ACME\\boris",
    "acme\\BORIS",
    "ACME\\boris@example.org",
]
SCRIPT = '''
import json, sys
import requests, requests_ntlm
password, names = sys.argv[1], sys.argv[2:]
body = """<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"
 xmlns:t="http://schemas.microsoft.com/exchange/services/2006/types"
 xmlns:m="http://schemas.microsoft.com/exchange/services/2006/messages"><s:Header>
 <t:RequestServerVersion Version="Exchange2013_SP1"/></s:Header><s:Body><m:GetFolder><m:FolderShape>
 <t:BaseShape>IdOnly</t:BaseShape></m:FolderShape><m:FolderIds><t:DistinguishedFolderId Id="inbox"/></m:FolderIds>
 </m:GetFolder></s:Body></s:Envelope>"""
found = {}
for kind, sign in (("basic", requests.auth.HTTPBasicAuth), ("ntlm", requests_ntlm.HttpNtlmAuth)):
    for name in names:
        with requests.Session() as session:
            answer = session.post(
                "https://mail.example.org/EWS/Exchange.asmx", data=body, auth=sign(name, password),
                headers={"content-type": "text/xml; charset=utf-8"}, timeout=30,
            )
            asked = answer.request.headers["authorization"].partition(" ")[0].lower()
            who = session.get("https://mail.example.org/whoami", auth=session.auth or sign(name, password), timeout=30)
            found[kind + " " + name] = [asked, answer.status_code, "NoError" in answer.text,
                                        who.json()["address"] if who.ok else None]
print(json.dumps(found))
'''


def test_every_spelling_by_basic_and_ntlm(mail_network):
    found = mail_network.python(SCRIPT, "correct horse", *NAMES)
    schemes = {"basic": ("basic",), "ntlm": ("ntlm", "negotiate")}
    for name in NAMES:
        for kind in ("basic", "ntlm"):
            scheme, *rest = found[f"{kind} {name}"]
            assert scheme in schemes[kind] and rest == [200, True, "boris@example.org"], (kind, name, found)


def test_another_domain_s_user_is_nobody_by_basic(mail_network):
    """Basic says the domain, and it is not one of ours."""
    found = mail_network.python(SCRIPT, "correct horse", "OTHER\\boris", "example.com\\boris")
    assert [found[f"basic {name}"][1:] for name in ("OTHER\\boris", "example.com\\boris")] == [[401, False, None]] * 2

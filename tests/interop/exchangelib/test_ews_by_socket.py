"""EWS on the wire: what clients send before and beside their questions."""

from __future__ import annotations

import pytest
import requests

pytestmark = [
    pytest.mark.interop,
    pytest.mark.filterwarnings("ignore::urllib3.exceptions.InsecureRequestWarning"),
]
TYPES = "http://schemas.microsoft.com/exchange/services/2006/types"
MESSAGES = "http://schemas.microsoft.com/exchange/services/2006/messages"


def envelope(body: str) -> bytes:
    return (
        f'<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/" xmlns:t="{TYPES}" xmlns:m="{MESSAGES}">'
        f'<s:Header><t:RequestServerVersion Version="Exchange2013_SP1"/></s:Header><s:Body>{body}</s:Body></s:Envelope>'
    ).encode()


FOLDER = envelope(
    "<m:GetFolder><m:FolderShape><t:BaseShape>IdOnly</t:BaseShape></m:FolderShape><m:FolderIds>"
    '<t:DistinguishedFolderId Id="inbox"/></m:FolderIds></m:GetFolder>'
)


def post(demo, body: bytes, who: tuple[str, str] | None, path: str = "/EWS/Exchange.asmx") -> requests.Response:
    return requests.post(
        f"https://{demo.host}:{demo.ports['https']}{path}",
        data=body,
        auth=who,
        verify=False,
        headers={"content-type": "text/xml; charset=utf-8"},
        timeout=60,
    )


def test_without_credentials_all_mechanisms_are_named(demo):
    answer = post(demo, FOLDER, None)
    assert answer.status_code == 401
    offered = answer.headers["www-authenticate"].lower()
    assert "basic" in offered and "ntlm" in offered and "negotiate" in offered


@pytest.mark.parametrize("path", ["/ews/exchange.asmx", "/EWS/EXCHANGE.ASMX", "/Ews/Exchange.asmx/"])
def test_any_letter_case(demo, path):
    answer = post(demo, FOLDER, demo.user(6), path)
    assert answer.status_code == 200 and b"NoError" in answer.content


def test_domain_and_user(demo):
    address, password = demo.user(6)
    local, _, domain = address.partition("@")
    answer = post(demo, FOLDER, (f"{domain}\\{local}", password))
    assert answer.status_code == 200 and b"NoError" in answer.content


def test_a_message_above_8_mib(demo):
    text = "A line of text that is sent as it is.\r\n" * 240_000
    body = envelope(
        '<m:CreateItem MessageDisposition="SaveOnly"><m:Items><t:Message><t:Subject>large</t:Subject>'
        f'<t:Body BodyType="Text">{text}</t:Body></t:Message></m:Items></m:CreateItem>'
    )
    assert len(body) > 8 << 20
    answer = post(demo, body, demo.user(6))
    assert answer.status_code == 200 and b"NoError" in answer.content

"""Autodiscover and its relatives over the product's own host: what each kind of client is told."""

from __future__ import annotations

import json
import plistlib
from xml.etree import ElementTree

import pytest
from msgspec.structs import replace
from tests.unit.frontends.http.conftest import HOST, PASSWORD
from tests.unit.frontends.http.test_http_sign_in import basic

from postern.config.settings import Listener
from postern.directory.interface import AccountChange, Alias, Domain, NewAccount, RecipientKind
from postern.model.rights import MailboxRight

OUTLOOK = "http://schemas.microsoft.com/exchange/autodiscover/outlook/responseschema/2006a"
MOBILE = "http://schemas.microsoft.com/exchange/autodiscover/mobilesync/responseschema/2006"
ANS = "http://schemas.microsoft.com/exchange/2010/Autodiscover"
XML = {"Content-Type": "text/xml"}
POX = "/autodiscover/autodiscover.xml"
SVC = "/autodiscover/autodiscover.svc"
UNKNOWN = "The email address can't be found."


def pox(address: str = "anna@example.org", schema: str = OUTLOOK, field: str = "EMailAddress") -> bytes:
    return (
        '<?xml version="1.0" encoding="utf-8"?>'
        '<Autodiscover xmlns="http://schemas.microsoft.com/exchange/autodiscover/outlook/requestschema/2006"><Request>'
        f"<{field}>{address}</{field}><AcceptableResponseSchema>{schema}</AcceptableResponseSchema>"
        "</Request></Autodiscover>"
    ).encode()


def soap(operation: str, names: list[str], settings: list[str]) -> bytes:
    users = "".join(f"<a:User><a:Mailbox>{name}</a:Mailbox></a:User>" for name in names)
    domains = "".join(f"<a:Domain>{name}</a:Domain>" for name in names)
    who = f"<a:Users>{users}</a:Users>" if operation == "GetUserSettings" else f"<a:Domains>{domains}</a:Domains>"
    asked = "".join(f"<a:Setting>{name}</a:Setting>" for name in settings)
    return (
        '<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"><s:Header/><s:Body>'
        f'<a:{operation}RequestMessage xmlns:a="{ANS}"><a:Request>{who}'
        f"<a:RequestedSettings>{asked}</a:RequestedSettings></a:Request></a:{operation}RequestMessage>"
        "</s:Body></s:Envelope>"
    ).encode()


@pytest.fixture
async def client(world):
    return await world.connect(await world.host())


@pytest.fixture
def ask(client):
    async def call(body: bytes, path: str = POX, user: str = "anna@example.org", **fields: str):
        answer = await client.ask("POST", path, {**XML, **basic(user), **fields}, body)
        return answer.status, ElementTree.fromstring(answer.body)

    return call


def texts(root: ElementTree.Element, local: str) -> list[str]:
    return [one.text or "" for one in root.iter() if one.tag.rpartition("}")[2] == local]


def protocols(root: ElementTree.Element) -> dict[str, dict[str, str]]:
    found = {}
    for one in root.iter(f"{{{OUTLOOK}}}Protocol"):
        values = {child.tag.rpartition("}")[2]: child.text or "" for child in one}
        found[values.get("Type", one.get("Type", ""))] = values
    return found


# --- POX


async def test_an_unauthenticated_post_is_told_all_mechanisms(client):
    answer = await client.ask("POST", POX, XML, pox())
    assert (answer.status, answer.all("www-authenticate")) == (401, [f'Basic realm="{HOST}", charset="UTF-8"'])


async def test_clients_of_ews_find_it_in_every_block(ask):
    for path in ("/Autodiscover/Autodiscover.xml", "/AUTODISCOVER/AUTODISCOVER.XML"):
        assert (await ask(pox(), path))[0] == 200
    status, root = await ask(pox())
    assert status == 200
    found = protocols(root)
    assert list(found) == ["EXCH", "EXPR", "EXHTTP", "IMAP", "POP3", "SMTP"]
    for name in ("EXCH", "EXPR", "EXHTTP"):
        assert found[name]["ASUrl"] == found[name]["EwsUrl"] == f"https://{HOST}/EWS/Exchange.asmx"
    assert (found["IMAP"]["Port"], found["IMAP"]["Encryption"], found["IMAP"]["LoginName"]) == (
        "993", "SSL", "anna@example.org",
    )  # fmt: skip
    assert found["SMTP"]["Port"] == "465"
    assert texts(root, "AutoDiscoverSMTPAddress") == ["anna@example.org"]
    assert texts(root, "Action") == ["settings"]


async def test_outlook_that_wants_mapi_is_told_of_what_works_for_it(ask):
    """Without MAPI a block of type EXCH would keep Outlook from setting up an account of any kind."""
    _, root = await ask(pox(), **{"X-MapiHttpCapability": "1"})
    assert list(protocols(root)) == ["IMAP", "POP3", "SMTP"]


async def test_only_listeners_that_are_open_are_named(world, settings):
    world.settings = replace(
        settings, listen={"imaps": Listener(enabled=False), "pop3": Listener(enabled=False),
                          "pop3s": Listener(enabled=False), "https": Listener(port=8443)},
    )  # fmt: skip
    client = await world.connect(await world.host())
    root = ElementTree.fromstring((await client.ask("POST", POX, {**XML, **basic()}, pox())).body)
    found = protocols(root)
    assert "POP3" not in found
    assert (found["IMAP"]["Port"], found["IMAP"]["Encryption"]) == ("143", "TLS")
    assert found["EXCH"]["EwsUrl"] == f"https://{HOST}:8443/EWS/Exchange.asmx"


async def test_unknown_and_hidden_and_foreign_addresses_get_one_answer(world, ask):
    await world.parts.directory.change_account("boris@example.org", AccountChange(hidden=True))
    await world.parts.directory.put_domain(Domain("example.org", catch_all="anna@example.org"))
    answers = [
        [texts(root, "ErrorCode"), texts(root, "Message")]
        for address in (
            "nobody@example.org",
            "boris@example.org",
            "anna@elsewhere.example",
            "no address",
            "@",
            "a@b@c",
        )
        for status, root in [await ask(pox(address))]
        if status == 200
    ]
    assert answers == [[["500"], [UNKNOWN]]] * 6
    _, root = await ask(pox("boris@example.org"), user="boris@example.org")
    assert texts(root, "Action") == ["settings"]


async def test_bad_requests_are_answered_as_outlook_expects(ask):
    for body, code in (
        (b"", "600"),
        (b"<a", "600"),
        (b"<Autodiscover/>", "600"),
        (pox(schema=""), "600"),
        (pox(schema="http://example.org/other"), "601"),
        (b'<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>', "600"),
        (b'<!DOCTYPE a SYSTEM "file:///etc/passwd"><a/>', "600"),
        (b"<a>" * 40 + b"</a>" * 40, "600"),
        (pox().replace(b"utf-8", b"utf-16"), "600"),
    ):
        status, root = await ask(body)
        assert (status, texts(root, "ErrorCode")) == (200, [code]), body


async def test_a_get_is_no_request(client):
    answer = await client.ask("GET", POX, basic())
    assert (answer.status, texts(ElementTree.fromstring(answer.body), "ErrorCode")) == (200, ["600"])


async def test_a_body_over_the_limit(client):
    answer = await client.ask("POST", POX, {**XML, **basic()}, b"<a>" + b" " * 70000 + b"</a>")
    assert answer.status == 413


async def test_an_alias_shows_the_primary_address_and_one_elsewhere_redirects(world, ask):
    directory = world.parts.directory
    await directory.put_proxy("anna@example.org", "a.archer@example.org")
    await directory.put_alias(Alias("gone@example.org", ("gone@elsewhere.example",)))
    _, root = await ask(pox("A.Archer@example.org"))
    assert texts(root, "AutoDiscoverSMTPAddress") == ["anna@example.org"]
    _, root = await ask(pox("gone@example.org"))
    assert (texts(root, "Action"), texts(root, "RedirectAddr")) == (["redirectAddr"], ["gone@elsewhere.example"])


async def test_mailboxes_with_full_access_are_opened_by_themselves(world, ask):
    directory = world.parts.directory
    for name in ("sales", "quiet", "team"):
        new = NewAccount(f"{name}@example.org", name.title(), kind=RecipientKind.SHARED)
        await directory.create_accounts([new])
    await directory.put_group("all@example.org")
    await directory.set_members("all@example.org", add=["anna@example.org"])
    await directory.grant_on("sales@example.org", "anna@example.org", MailboxRight.FULL_ACCESS)
    await directory.grant_on("quiet@example.org", "anna@example.org", MailboxRight.FULL_ACCESS, automapping=False)
    await directory.grant_on("team@example.org", "all@example.org", MailboxRight.FULL_ACCESS)
    _, root = await ask(pox())
    assert texts(root, "SmtpAddress") == ["sales@example.org"]
    # whoever asks for somebody else's settings does not learn what they have access to
    _, root = await ask(pox(), user="boris@example.org")
    assert texts(root, "SmtpAddress") == []
    await directory.grant_on("quiet@example.org", "anna@example.org", MailboxRight.FULL_ACCESS)
    _, root = await ask(pox())
    assert texts(root, "SmtpAddress") == ["quiet@example.org", "sales@example.org"]


async def test_the_name_in_mapi_is_an_address_too(ask):
    _, root = await ask(pox())
    (name,) = texts(root, "LegacyDN")
    _, root = await ask(pox(name.upper(), field="LegacyDN"))
    assert texts(root, "AutoDiscoverSMTPAddress") == ["anna@example.org"]
    _, root = await ask(pox(name[:-1] + "f", field="LegacyDN"))
    assert texts(root, "ErrorCode") == ["500"]


async def test_a_phone_is_told_that_there_is_no_activesync(ask):
    _, root = await ask(pox(schema=MOBILE))
    assert texts(root, "EMailAddress") == ["anna@example.org"]
    assert texts(root, "Status") == ["2"]


async def test_names_that_no_xml_can_hold(world, ask):
    await world.parts.directory.change_account("anna@example.org", AccountChange(display_name="A\x01<&>\"'Ж"))
    _, root = await ask(pox())
    assert texts(root, "DisplayName")[0].replace("\ufffd", "") == "A<&>\"'Ж"


# --- SOAP


async def test_user_settings(ask):
    wanted = ["ExternalEwsUrl", "EwsSupportedSchemas", "InternalImap4Connections", "AutoDiscoverSMTPAddress",
              "ExternalUMUrl", "Nonsense"]  # fmt: skip
    status, root = await ask(soap("GetUserSettings", ["anna@example.org", "nobody@example.org"], wanted), SVC)
    assert status == 200
    assert texts(root, "Version") == ["Exchange2013_SP1"]
    first, second = root.iter(f"{{{ANS}}}UserResponse")
    given = {texts(one, "Name")[0]: (texts(one, "Value") or texts(one, "Port")) for one in
             first.iter(f"{{{ANS}}}UserSetting")}  # fmt: skip
    assert given["ExternalEwsUrl"] == [f"https://{HOST}/EWS/Exchange.asmx"]
    assert given["InternalImap4Connections"] == ["993", "143"]
    assert given["AutoDiscoverSMTPAddress"] == ["anna@example.org"]
    errors = list(first.iter(f"{{{ANS}}}UserSettingError"))
    assert [texts(one, "ErrorCode") + texts(one, "SettingName") for one in errors] == [
        ["SettingIsNotAvailable", "ExternalUMUrl"], ["InvalidSetting", "Nonsense"],
    ]  # fmt: skip
    assert texts(second, "ErrorCode") == ["InvalidUser"]


async def test_domain_settings(ask):
    body = soap("GetDomainSettings", ["example.org", "elsewhere.example"], ["ExternalEwsUrl", "ExternalEwsVersion"])
    _, root = await ask(body, SVC)
    first, second = root.iter(f"{{{ANS}}}DomainResponse")
    assert f"https://{HOST}/EWS/Exchange.asmx" in texts(first, "Value")
    assert texts(second, "ErrorCode") == ["InvalidDomain"]


async def test_soap_requests_that_cannot_be_served(ask):
    for body in (b"", b"<a/>", b"<!DOCTYPE a><a/>", soap("GetFederationInformation", ["example.org"], [])):
        status, root = await ask(body, SVC)
        assert (status, texts(root, "faultcode")) == (500, ["s:Client"])
    for names, settings in (([], ["ExternalEwsUrl"]), (["anna@example.org"], []), (["a@b.c"] * 101, ["CasVersion"])):
        _, root = await ask(soap("GetUserSettings", names, settings), SVC)
        assert texts(root, "ErrorCode") == ["InvalidRequest"]


async def test_a_redirect_can_be_looked_at(client):
    assert (await client.ask("HEAD", SVC)).status == 401
    assert (await client.ask("GET", SVC, basic())).status == 200


# --- without a sign-in


async def test_json_is_the_same_for_everybody(client):
    for path in (
        "/autodiscover/autodiscover.json?Email=anna%40example.org&Protocol=EWS",
        "/Autodiscover/Autodiscover.json/v1.0/anna@example.org?protocol=ews",
        "/autodiscover/autodiscover.json?email=nobody@example.org&PROTOCOL=Ews&RedirectCount=1",
    ):
        answer = await client.ask("GET", path)
        assert answer.status == 200
        assert json.loads(answer.body) == {"Protocol": "Ews", "Url": f"https://{HOST}/EWS/Exchange.asmx"}


async def test_json_says_what_is_wrong(client):
    for query, status, code in (
        ("Protocol=EWS", 400, "MandatoryParameterMissing"),
        ("Email=anna@example.org", 400, "MandatoryParameterMissing"),
        ("Email=anna@example.org&Protocol=ActiveSync", 400, "InvalidProtocol"),
        ("Email=anna@elsewhere.example&Protocol=EWS", 404, "UserNotFound"),
        ("&".join(f"a{n}=b" for n in range(500)), 400, "MandatoryParameterMissing"),
    ):
        answer = await client.ask("GET", f"/autodiscover/autodiscover.json?{query}")
        assert (answer.status, json.loads(answer.body)["ErrorCode"]) == (status, code), query


async def test_autodiscover_v1_by_json(client):
    answer = await client.ask("GET", "/autodiscover/autodiscover.json?Email=x@example.org&Protocol=autodiscoverv1")
    assert json.loads(answer.body)["Url"] == f"https://{HOST}/autodiscover/autodiscover.xml"


async def test_autoconfig(client):
    for path in (
        "/mail/config-v1.1.xml?emailaddress=anna%40example.org",
        "/.well-known/autoconfig/mail/config-v1.1.xml",
        "/mail/config-v1.1.xml?emailaddress=nobody%40example.org",
    ):
        answer = await client.ask("GET", path)
        root = ElementTree.fromstring(answer.body)
        assert answer.status == 200
        assert texts(root, "domain") == ["example.org"]
        servers = [(one.get("type"), one.findtext("port"), one.findtext("socketType")) for one in root.iter()
                   if one.tag.endswith("Server")]  # fmt: skip
        assert servers == [
            ("imap", "993", "SSL"), ("imap", "143", "STARTTLS"), ("pop3", "995", "SSL"), ("pop3", "110", "STARTTLS"),
            ("smtp", "465", "SSL"), ("smtp", "587", "STARTTLS"),
        ]  # fmt: skip
        assert set(texts(root, "username")) == {"%EMAILADDRESS%"}


async def test_autoconfig_of_another_domain(client):
    assert (await client.ask("GET", "/mail/config-v1.1.xml?emailaddress=a@elsewhere.example")).status == 404


async def test_the_profile_is_for_whoever_signs_in(client):
    assert (await client.ask("GET", "/profile.mobileconfig")).status == 401
    answer = await client.ask("GET", "/profile.mobileconfig", basic())
    assert answer.get("content-type") == "application/x-apple-aspen-config"
    content = plistlib.loads(answer.body)
    mail, ews = content["PayloadContent"]
    assert (mail["IncomingMailServerPortNumber"], mail["EmailAddress"]) == (993, "anna@example.org")
    assert (ews["PayloadType"], ews["Path"]) == ("com.apple.ews.account", "/EWS/Exchange.asmx")
    assert PASSWORD not in str(content)


@pytest.mark.parametrize("path", ["/autodiscover/autodiscover.xml", "/Autodiscover/Autodiscover.svc",
                                  "/mail/config-v1.1.xml?emailaddress=a@b"])  # fmt: skip
async def test_port_80_sends_made_up_names_to_one_with_a_certificate(world, path):
    client = await world.connect(await world.host("http"), tls=False)
    answer = await client.ask("GET", path, {"Host": "autodiscover.example.org"})
    assert (answer.status, answer.get("location")) == (302, f"https://{HOST}:8443{path}")
    refused = await client.ask("POST", path, {"Host": "autodiscover.example.org", **basic()}, b"x")
    assert refused.status == 403


# --- directories without anybody behind them


@pytest.mark.parametrize("path", ["/Microsoft-Server-ActiveSync", "/mapi/emsmdb/?MailboxId=x", "/owa/"])
async def test_reserved_directories_ask_for_a_password_once(client, path):
    assert (await client.ask("POST", path)).status == 401
    answer = await client.ask("POST", path, basic(), b"x")
    assert answer.status == 501
    assert b"is not offered" in answer.body
    assert (await client.ask("GET", path, basic())).status == 404

"""Autodiscover in plain XML (MS-OXDSCLI), for Outlook's schema and for that of mobile devices (MS-ASCMD 2.2.1.1)."""

from __future__ import annotations

from datetime import datetime

import msgspec

from postern.model.published import ORGANISATION_DN, MailServer, PublishedPerson, PublishedSite, Redirection
from postern.model.refusal import ProtocolViolation
from postern.protocols.autodiscover.markup import document, read, tag, tags, text_of, wrap

OUTLOOK = "http://schemas.microsoft.com/exchange/autodiscover/outlook/responseschema/2006a"
MOBILE = "http://schemas.microsoft.com/exchange/autodiscover/mobilesync/responseschema/2006"
_ENVELOPE = "http://schemas.microsoft.com/exchange/autodiscover/responseschema/2006"

NOT_FOUND = 500
INVALID_REQUEST = 600
NO_PROVIDER = 601
"""ErrorCode (MS-OXDSCLI 2.2.4.1.2.1)."""
_MESSAGES = {
    NOT_FOUND: "The email address can't be found.",
    INVALID_REQUEST: "Invalid Request",
    NO_PROVIDER: "Provider is not available",
}

SERVER_VERSION = "73C0834F"
"""15.0.847, as MS-OXDSCLI 2.2.4.1.1.2.6.42 packs it."""
_HOW = {"Negotiate": "Negotiate", "NTLM": "Ntlm", "Basic": "Basic"}


class Request(msgspec.Struct, frozen=True):
    """What a client asks for; one of address and legacy_dn is set."""

    address: str
    legacy_dn: str
    schema: str
    """OUTLOOK, MOBILE, or one that nobody knows."""


def parse(body: bytes) -> Request:
    """Raises ProtocolViolation for what is no request."""
    root = read(body)
    address, dn = text_of(root, "EMailAddress"), text_of(root, "LegacyDN")
    schema = text_of(root, "AcceptableResponseSchema")
    if not (address or dn) or not schema:
        raise ProtocolViolation("no address or no schema")
    folded = schema.casefold()
    known = next((one for one in (OUTLOOK, MOBILE) if one == folded), schema)
    return Request(address, dn, known)


def error(code: int, now: datetime, identity: str) -> bytes:
    """An answer that says no, with HTTP's 200. `identity` is a number that the server's log knows."""
    content = tag("ErrorCode", str(code)) + tag("Message", _MESSAGES[code]) + "<DebugData/>"
    time = now.strftime("%H:%M:%S.%f") + "0"
    return _document(wrap("Response", wrap("Error", content, {"Time": time, "Id": identity})))


def redirect(to: Redirection, schema: str, person: str) -> bytes:
    """Ask with another address (MS-OXDSCLI 2.2.4.1.1.2.2)."""
    if schema == MOBILE:
        user = wrap("User", tag("EMailAddress", person))
        return _mobile(user + wrap("Action", tag("Redirect", to.address)))
    account = tags(AccountType="email", Action="redirectAddr", RedirectAddr=to.address)
    return _outlook(wrap("Account", account))


def mobile(site: PublishedSite, person: PublishedPerson) -> bytes:
    """Where ActiveSync answers; an error inside the answer if it does not."""
    if site.activesync:
        server = wrap("Server", tags(Type="MobileSync", Url=site.activesync, Name=site.activesync))
        action = wrap("Settings", server)
    else:
        action = wrap("Error", tag("Status", "2") + tag("Message", "ActiveSync is not offered") + "<DebugData/>")
    user = wrap("User", tags(DisplayName=person.display_name or person.address, EMailAddress=person.address))
    return _mobile(user + wrap("Action", action))


def settings(site: PublishedSite, person: PublishedPerson, *, mapi_capable: int | None) -> bytes:
    """All that Outlook's schema says of a mailbox.

    `mapi_capable` is the client's X-MapiHttpCapability, None without it. Who sends it wants MAPI for a mailbox of type
    EXCH: where nothing speaks MAPI such a client is told of IMAP4, POP3 and SMTP only, which work for it.
    """
    user = tags(
        DisplayName=person.display_name or person.address,
        LegacyDN=person.legacy_dn,
        AutoDiscoverSMTPAddress=person.address,
        DeploymentId=person.deployment,
    )
    account = tags(AccountType="email", Action="settings", MicrosoftOnline="False", ConsumerMailbox="False")
    mapi_only = mapi_capable is not None and not site.mapi
    if not mapi_only:
        if mapi_capable and site.mapi:
            account += _mapi_http(site, person)
        account += _exchange(site, person)
    account += "".join(
        _mail(server, person.address) for kind in ("imap", "pop3", "smtp") if (server := site.best(kind))
    )
    if not mapi_only:
        account += "".join(
            wrap(
                "AlternativeMailbox",
                tags(
                    Type="Delegate",
                    DisplayName=other.display_name or other.address,
                    SmtpAddress=other.address,
                    OwnerSmtpAddress=other.address,
                ),
            )
            for other in person.alternatives
        )
    return _outlook(wrap("User", user) + wrap("Account", account))


def _exchange(site: PublishedSite, person: PublishedPerson) -> str:
    """EXCH, EXPR, EXHTTP and WEB (MS-OXDSCLI 2.2.4.1.1.2.6): for clients of EWS, who look into any of them."""
    if not site.ews:
        return ""
    urls = tags(ASUrl=site.ews, OOFUrl=site.ews, EwsUrl=site.ews, EmwsUrl=site.ews, OABUrl=site.oab)
    how = _HOW.get(site.packages[0], "Basic") if site.packages else "Basic"
    outside = tags(Server=site.hostname, SSL="On", AuthPackage=how)
    server_dn = f"{ORGANISATION_DN}/cn=Configuration/cn=Servers/cn={person.mailbox}@{person.domain}"
    found = wrap(
        "Protocol",
        tags(
            Type="EXCH",
            Server=f"{person.mailbox}@{person.domain}",
            ServerDN=server_dn,
            ServerVersion=SERVER_VERSION,
            MdbDN=f"{server_dn}/cn=Microsoft Private MDB",
            AuthPackage="Anonymous",
            ServerExclusiveConnect="off",
        )
        + urls,
    )
    found += wrap("Protocol", tag("Type", "EXPR") + outside + urls)
    found += wrap("Protocol", tag("Type", "EXHTTP") + outside + tag("ServerExclusiveConnect", "on") + urls)
    if site.owa:
        page = tag("OWAUrl", site.owa, {"AuthenticationMethod": "Basic, Fba"})

        def web(kind: str) -> str:
            return page + wrap("Protocol", tags(Type=kind, ASUrl=site.ews))

        found += wrap("Protocol", tag("Type", "WEB") + wrap("Internal", web("EXCH")) + wrap("External", web("EXPR")))
    return found


def _mapi_http(site: PublishedSite, person: PublishedPerson) -> str:
    """MS-OXDSCLI 2.2.4.1.1.2.6 with Type and Version as attributes."""
    content = ""
    for element, place in (("MailStore", "emsmdb"), ("AddressBook", "nspi")):
        url = f"{site.mapi}{place}/?MailboxId={person.mailbox}@{person.domain}"
        content += wrap(element, tags(InternalUrl=url, ExternalUrl=url))
    return wrap("Protocol", content, {"Type": "mapiHttp", "Version": "1"})


def _mail(server: MailServer, address: str) -> str:
    """A server for mail programs; Encryption wins over SSL (MS-OXDSCLI 2.2.4.1.1.2.6.14)."""
    content = tags(
        Type=server.kind.upper(),
        Server=server.host,
        Port=str(server.port),
        DomainRequired="off",
        LoginName=address,
        SPA="off",
        SSL="on",
        Encryption="SSL" if server.implicit else "TLS",
        AuthRequired="on",
    )
    if server.kind == "smtp":
        content += tags(UsePOPAuth="on", SMTPLast="off")
    return wrap("Protocol", content)


def _outlook(content: str) -> bytes:
    return _document(wrap("Response", content, {"xmlns": OUTLOOK}))


def _mobile(content: str) -> bytes:
    return _document(wrap("Response", tag("Culture", "en:us") + content, {"xmlns": MOBILE}))


def _document(content: str) -> bytes:
    return document(wrap("Autodiscover", content, {"xmlns": _ENVELOPE}))

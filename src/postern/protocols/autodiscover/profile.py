"""Apple's configuration profile (.mobileconfig): mail and Exchange of one person, without a password."""

from __future__ import annotations

import plistlib
import uuid
from typing import Any
from urllib.parse import urlsplit

from postern.model.published import PublishedPerson, PublishedSite

KIND = "application/x-apple-aspen-config"


def answer(site: PublishedSite, person: PublishedPerson, organisation: str) -> bytes:
    """A property list. Installed again it replaces itself: its identifiers depend on the address alone."""
    payloads = [one for one in (_mail(site, person), _exchange(site, person)) if one]
    profile = _payload("Configuration", person, "profile") | {
        "PayloadContent": payloads,
        "PayloadDisplayName": person.address,
        "PayloadOrganization": organisation,
        "PayloadRemovalDisallowed": False,
    }
    return plistlib.dumps(profile)


def _payload(kind: str, person: PublishedPerson, part: str) -> dict[str, Any]:
    identifier = f"{person.domain}.postern.{part}.{person.address.partition('@')[0]}"
    return {
        "PayloadType": kind,
        "PayloadVersion": 1,
        "PayloadIdentifier": identifier,
        "PayloadUUID": str(uuid.uuid5(uuid.NAMESPACE_URL, f"{part}:{person.address}")).upper(),
        "PayloadDisplayName": person.address,
    }


def _mail(site: PublishedSite, person: PublishedPerson) -> dict[str, Any]:
    incoming = site.best("imap") or site.best("pop3")
    outgoing = site.best("smtp")
    if incoming is None or outgoing is None:
        return {}
    found = _payload("com.apple.mail.managed", person, "mail")
    found |= {
        "EmailAccountType": "EmailTypeIMAP" if incoming.kind == "imap" else "EmailTypePOP",
        "EmailAccountDescription": person.domain,
        "EmailAccountName": person.display_name or person.address,
        "EmailAddress": person.address,
        "OutgoingPasswordSameAsIncomingPassword": True,
    }
    for side, server in (("Incoming", incoming), ("Outgoing", outgoing)):
        found |= {
            f"{side}MailServerAuthentication": "EmailAuthPassword",
            f"{side}MailServerHostName": server.host,
            f"{side}MailServerPortNumber": server.port,
            f"{side}MailServerUseSSL": True,
            f"{side}MailServerUsername": person.address,
        }
    return found


def _exchange(site: PublishedSite, person: PublishedPerson) -> dict[str, Any]:
    """EWS on a Mac; an iPhone takes ActiveSync for an Exchange account, where it is offered."""
    if site.activesync:
        return _payload("com.apple.eas.account", person, "activesync") | {
            "Host": site.hostname,
            "EmailAddress": person.address,
            "UserName": person.address,
            "SSL": True,
        }
    if not site.ews:
        return {}
    where = urlsplit(site.ews)
    return _payload("com.apple.ews.account", person, "ews") | {
        "Host": where.hostname or site.hostname,
        "Port": where.port or 443,
        "Path": where.path,
        "SSL": True,
        "EmailAddress": person.address,
        "UserName": person.address,
    }

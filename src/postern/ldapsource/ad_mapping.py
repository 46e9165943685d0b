"""How entries of Active Directory, with Exchange's attributes where they are present, become ours."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

import msgspec

from postern.directory.mirrored import SourceEntry
from postern.directory.objects import RecipientKind
from postern.ldapsource import values
from postern.ldapsource.mapping import CUSTOM, Lookup, Mapped, details
from postern.ldapsource.values import Attributes, text, texts
from postern.model.ids import MailboxId
from postern.protocols.ldap import names

_SPELLED = (
    "objectGUID", "objectClass", "cn", "displayName", "mail", "proxyAddresses", "targetAddress", "sAMAccountName",
    "userPrincipalName", "userAccountControl", "accountExpires", "pwdLastSet", "lockoutTime", "isDeleted",
    "givenName", "sn", "initials", "title", "department", "company", "physicalDeliveryOfficeName", "telephoneNumber",
    "mobile", "homePhone", "facsimileTelephoneNumber", "streetAddress", "l", "st", "postalCode", "co", "info",
    "wWWHomePage", "manager", "thumbnailPhoto", "member", "altRecipient", "deliverAndRedirect", "homeMDB",
    "msExchMailboxGuid", "msExchRecipientTypeDetails", "msExchHideFromAddressLists", "msExchResourceCapacity",
    "uSNChanged",
)  # fmt: skip

DISABLED = 0x2
"""userAccountControl (MS-ADTS 2.2.16): ACCOUNTDISABLE."""

_USER, _SHARED, _ROOM, _EQUIPMENT, _CONTACT = (
    RecipientKind.USER, RecipientKind.SHARED, RecipientKind.ROOM, RecipientKind.EQUIPMENT, RecipientKind.CONTACT,
)  # fmt: skip
_REMOTE = 1 << 31
KINDS = {
    1: _USER, 2: _USER, 4: _SHARED, 8: _USER, 16: _ROOM, 32: _EQUIPMENT, 64: _CONTACT, 128: _CONTACT,
    _REMOTE: _CONTACT, 1 << 33: _CONTACT, 1 << 34: _CONTACT, 1 << 35: _CONTACT,
}  # fmt: skip
"""msExchRecipientTypeDetails: mailboxes (own, linked, legacy) and mail users, some of whose mailboxes are elsewhere."""


class DomainFacts(msgspec.Struct, frozen=True):
    """A domain of the forest."""

    base: str
    dns: str
    netbios: str = ""


class AdMapping:
    """Implements `mapping.Mapping`."""

    attributes: tuple[str, ...] = (*_SPELLED, *(f"extensionAttribute{number}" for number in CUSTOM.values()))
    group_attributes: tuple[str, ...] = ("member",)

    def __init__(
        self,
        domains: Sequence[DomainFacts],
        *,
        mail_domain: str = "",
        all_groups: bool = True,
        lockout_s: float | None = None,
        now: float = 0.0,
    ) -> None:
        """`lockout_s` is how long a locked account stays locked, None: until somebody unlocks it."""
        self._domains = sorted(domains, key=lambda one: -len(one.base))
        self._mail_domain = mail_domain
        self._all_groups = all_groups
        self._lockout_s = lockout_s
        self._now = now

    def anchor(self, attributes: Attributes) -> str:
        """ObjectGUID."""
        return values.guid(values.first(attributes, "objectguid"))

    def references(self, attributes: Attributes) -> Sequence[str]:
        """Manager and forwarding recipient."""
        return texts(attributes, "manager", "altrecipient")

    def address(self, dn: str, attributes: Attributes) -> str:
        """The proxy address with `SMTP:` in capitals, else `mail`, else a made one."""
        for proxy in texts(attributes, "proxyaddresses"):
            if proxy.startswith("SMTP:") and (found := values.address(proxy[5:])):
                return found
        if found := values.address(text(attributes, "mail")):
            return found
        # of people only: a group or contact has an address when somebody gave it one
        name = text(attributes, "samaccountname")
        if self._mail_domain and name and not {b"group", b"contact"} & set(attributes.get("objectclass", ())):
            return values.address(f"{name}@{self._mail_domain}")
        return ""

    def entry(self, dn: str, attributes: Attributes, lookup: Lookup) -> Mapped:
        """Who has a mailbox here, a contact, a group; None for computers and for people without an address."""
        anchor = self.anchor(attributes)
        classes = {value.lower() for value in attributes.get("objectclass", ())}
        address = self.address(dn, attributes)
        target = _bare(text(attributes, "targetaddress"))
        kind = self._kind(classes, attributes, target)
        if kind is None or values.flag(attributes, "isdeleted"):
            return Mapped(anchor)
        if not address and (kind is not RecipientKind.GROUP or not self._all_groups):
            return Mapped(anchor)
        person = kind not in {RecipientKind.GROUP, RecipientKind.CONTACT}
        locked = self._locked_until(attributes) if person else None
        control = values.number(attributes, "useraccountcontrol") or 0
        forward = values.addresses([lookup(other) for other in texts(attributes, "altrecipient")]) if person else []
        manager = text(attributes, "manager")
        return Mapped(
            anchor,
            SourceEntry(
                anchor,
                kind,
                address,
                text(attributes, "displayname", "cn"),
                names.tidy(dn),
                proxies=tuple(self._proxies(attributes, address)),
                login_names=self._login_names(dn, attributes) if person else (),
                enabled=not control & DISABLED and locked is None,
                expires_at=values.filetime(values.number(attributes, "accountexpires")) if person else None,
                password_at=values.filetime(values.number(attributes, "pwdlastset")) if person else None,
                hidden=values.flag(attributes, "msexchhidefromaddresslists"),
                details=details(attributes, lookup(manager) if manager else ""),
                photo=values.picture(attributes, "thumbnailphoto"),
                members=tuple(sorted(map(names.tidy, texts(attributes, "member")))) if kind is _GROUP else (),
                target=(target or address) if kind is RecipientKind.CONTACT else "",
                forward_to=tuple(forward),
                forward_keep=values.flag(attributes, "deliverandredirect") or not forward,
                mailbox=_mailbox(attributes) if person else None,
            ),
            locked,
        )

    def _kind(self, classes: set[bytes], attributes: Attributes, target: str) -> RecipientKind | None:
        if b"group" in classes:
            return RecipientKind.GROUP
        if b"contact" in classes:
            return RecipientKind.CONTACT
        # computers and the accounts of services are users by their class
        if b"user" not in classes or b"computer" in classes:
            return None
        kind = KINDS.get(values.number(attributes, "msexchrecipienttypedetails") or 0)
        if kind is not None:
            return kind
        has_mailbox = "homemdb" in attributes or "msexchmailboxguid" in attributes
        return RecipientKind.CONTACT if target and not has_mailbox else RecipientKind.USER

    def _proxies(self, attributes: Attributes, address: str) -> list[str]:
        given = [proxy[5:] for proxy in texts(attributes, "proxyaddresses") if proxy[:5].lower() == "smtp:"]
        return sorted(one for one in values.addresses([*given, *texts(attributes, "mail")]) if one != address)

    def _login_names(self, dn: str, attributes: Attributes) -> tuple[str, ...]:
        found = {text(attributes, "userprincipalname").lower()}
        if name := text(attributes, "samaccountname").lower():
            found.add(name)
            for domain in self._domains:
                if names.within(dn, domain.base):
                    found |= {f"{name}@{domain.dns}"} | (
                        {f"{domain.netbios.lower()}\\{name}"} if domain.netbios else set()
                    )
                    break
        return tuple(sorted(found - {""}))

    def _locked_until(self, attributes: Attributes) -> float | None:
        since = values.filetime(values.number(attributes, "lockouttime"))
        if since is None:
            return None
        until = float("inf") if self._lockout_s is None else since + self._lockout_s
        return until if until > self._now else None


_GROUP = RecipientKind.GROUP


def _bare(proxy: str) -> str:
    """`SMTP:somebody@example.net` without its prefix; empty for other kinds of addresses."""
    prefix, colon, rest = proxy.partition(":")
    if colon and prefix.lower() != "smtp":
        return ""
    return values.address(rest if colon else proxy)


def _mailbox(attributes: Attributes) -> MailboxId | None:
    octets = values.first(attributes, "msexchmailboxguid")
    return MailboxId(UUID(bytes_le=octets).hex) if len(octets) == 16 and any(octets) else None

"""How entries of other LDAP servers (inetOrgPerson, groupOfNames and their kin) become ours."""

from __future__ import annotations

from collections.abc import Sequence

from postern.directory.mirrored import SourceEntry
from postern.directory.objects import RecipientKind
from postern.ldapsource import values
from postern.ldapsource.mapping import Lookup, Mapped, details
from postern.ldapsource.values import Attributes, text, texts
from postern.protocols.ldap import names

PEOPLE = frozenset({b"inetorgperson", b"person", b"organizationalperson", b"posixaccount", b"inetlocalmailrecipient"})
GROUPS = frozenset({b"groupofnames", b"groupofuniquenames", b"groupofmembers"})
_FOR_EVER = "000001010000Z"
"""pwdAccountLockedTime of an account that an administrator locked (draft-behera-ldap-password-policy 5.3.3)."""
_DAY_S = 86400.0


class LdapMapping:
    """Implements `mapping.Mapping`."""

    attributes: tuple[str, ...] = (
        "*", "entryUUID", "modifyTimestamp", "pwdAccountLockedTime", "pwdChangedTime", "nsAccountLock",
    )  # fmt: skip
    group_attributes: tuple[str, ...] = ("member", "uniquemember")

    def __init__(self, *, mail_domain: str = "", all_groups: bool = True) -> None:
        self._mail_domain = mail_domain
        self._all_groups = all_groups

    def anchor(self, attributes: Attributes) -> str:
        """EntryUUID (RFC 4530)."""
        return text(attributes, "entryuuid").lower()

    def references(self, attributes: Attributes) -> Sequence[str]:
        """The manager."""
        return texts(attributes, "manager")

    def address(self, dn: str, attributes: Attributes) -> str:
        """The first `mail`, else a made one."""
        found = values.addresses(texts(attributes, "mail", "maillocaladdress"))
        if found:
            return found[0]
        name = text(attributes, "uid")
        return values.address(f"{name}@{self._mail_domain}") if self._mail_domain and name else ""

    def entry(self, dn: str, attributes: Attributes, lookup: Lookup) -> Mapped:
        """People and groups; None for everything else, and for people without an address."""
        anchor = self.anchor(attributes)
        classes = {value.lower() for value in attributes.get("objectclass", ())}
        group = bool(classes & GROUPS)
        address = self.address(dn, attributes)
        if not (group or classes & PEOPLE) or (not address and not (group and self._all_groups)):
            return Mapped(anchor)
        others = values.addresses(texts(attributes, "mail", "mailalternateaddress", "maillocaladdress"))
        manager = text(attributes, "manager")
        days = values.number(attributes, "shadowexpire")
        members = sorted({names.tidy(name) for name in texts(attributes, *self.group_attributes)}) if group else ()
        return Mapped(
            anchor,
            SourceEntry(
                anchor,
                RecipientKind.GROUP if group else RecipientKind.USER,
                address,
                text(attributes, "displayname", "cn"),
                names.tidy(dn),
                proxies=tuple(sorted(one for one in others if one != address)),
                login_names=() if group else tuple(sorted({uid.lower() for uid in texts(attributes, "uid")})),
                enabled=not (
                    values.flag(attributes, "nsaccountlock") or text(attributes, "pwdaccountlockedtime") == _FOR_EVER
                ),
                expires_at=None if group or days is None or days < 0 else days * _DAY_S,
                password_at=values.generalized(text(attributes, "pwdchangedtime")),
                details=details(attributes, lookup(manager) if manager else ""),
                photo=values.picture(attributes, "jpegphoto"),
                members=tuple(members),
            ),
        )

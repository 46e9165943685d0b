"""How a directory elsewhere is reached and read: the JSON of `Source.settings`, and what is remembered of it."""

from __future__ import annotations

import hashlib
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from postern.model.refusal import Reason, Refusal

Protection = Literal["starttls", "ldaps", "gssapi", "none"]
"""StartTLS on 389, TLS from the first octet on 636, sign and seal by Kerberos on 389, nothing (loopback only)."""

PORTS = {False: {"ldaps": 636}, True: {"ldaps": 3269}}
"""By whether the global catalogue is meant; other protections than these are on 389 and 3268."""


class SourceSettings(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One source. Raises msgspec.ValidationError where it is read."""

    domain: str = ""
    """DNS name of the domain; controllers are found under it."""
    servers: tuple[str, ...] = ()
    """`host`, `host:port` or `[address]:port` in the order to use; empty: by DNS."""
    site: str = ""
    """Active Directory site whose controllers come first; empty: the one that the controllers say we are in."""
    protection: Protection = "starttls"
    trust: str = ""
    """PEM file of the authorities that the servers' certificates are of; empty: those of the system."""
    user: str = ""
    """DN, or for Active Directory also user@domain or DOMAIN\\user; empty: anonymous, or whom the keytab is for."""
    password_file: str = ""
    keytab: str = ""
    """For `gssapi`: keytab of the user, who is a Kerberos principal then."""
    base: str = ""
    """What is read is at or below this entry; empty: the whole domain."""
    filter: str = ""
    """RFC 4515; people have to fit it too."""
    global_catalog: bool = False
    """Ask the global catalogue (3268, 3269): all domains of the forest, fewer attributes."""
    mail_domain: str = ""
    """People without an address get their login name at this domain; empty: they are left out."""
    groups: Literal["all", "mail"] = "all"
    """`mail`: only groups with an address; `all`: others too, for rights and roles and as members of groups."""
    dirsync: bool = True
    """Active Directory: ask by DirSync for what has changed where the account has the right; by USN where not."""
    interval_s: Annotated[float, Meta(ge=1, le=86400)] = 60.0
    """Between two incremental synchronisations."""
    full_every_s: Annotated[float, Meta(ge=60)] = 86400.0
    """Everything is read again that often, whatever the server says has changed."""
    page_size: Annotated[int, Meta(ge=1, le=10_000)] = 500
    timeout_s: Annotated[float, Meta(ge=0.1, le=300)] = 15.0
    """For an answer."""
    connect_timeout_s: Annotated[float, Meta(ge=0.1, le=60)] = 3.0

    def port(self) -> int:
        """Where controllers listen that are named without a port."""
        return PORTS[self.global_catalog].get(self.protection, 3268 if self.global_catalog else 389)


def read(text: str) -> SourceSettings:
    """Settings from their JSON. Raises Refusal(BAD_VALUE)."""
    try:
        return msgspec.json.decode(text or "{}", type=SourceSettings)
    except msgspec.MsgspecError as problem:
        raise Refusal(Reason.BAD_VALUE, f"the settings of the source cannot be read: {problem}") from problem


def written(settings: SourceSettings) -> str:
    """Their JSON."""
    return msgspec.json.encode(settings).decode()


_MAPPING = 1
"""Grows when entries are read in another way than before: then everything is read again."""


class State(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Where the next synchronisation goes on."""

    meaning: str = ""
    """Of which settings: after others everything is read again."""
    usn: dict[str, int] = {}
    """Active Directory: the highest USN read, by the controller's invocation id."""
    dirsync: dict[str, str] = {}
    """Active Directory: the cookie after what was read by DirSync, base64, by the controller's invocation id."""
    cookie: str = ""
    """Content synchronisation (RFC 4533), base64."""
    since: str = ""
    """Other servers: the newest modifyTimestamp."""
    locked: dict[str, float] = {}
    """Accounts that are locked, and until when: no change tells the end of it."""
    swept_at: float = 0.0
    """When it was last looked for what is gone, where no server tells it."""
    full_at: float = 0.0
    run: int = 0
    controller: str = ""
    """Who was read last."""
    tried_at: float = 0.0
    error: str = ""
    """Why the last try failed; empty: it did not."""


def state_of(text: str, settings: SourceSettings) -> State:
    """The state, empty where its settings have changed since (or a newer Postern wrote it)."""
    meaning = meaning_of(settings)
    try:
        state = msgspec.json.decode(text or "{}", type=State)
    except msgspec.MsgspecError:
        return State(meaning=meaning)
    if state.meaning != meaning:
        return State(meaning=meaning, run=state.run)
    return state


def meaning_of(settings: SourceSettings) -> str:
    """What of the settings decides which entries there are and what they say."""
    facts = (
        _MAPPING, settings.domain, settings.base, settings.filter, settings.global_catalog, settings.mail_domain,
        settings.groups,
    )  # fmt: skip
    return hashlib.sha256(msgspec.json.encode(facts)).hexdigest()[:16]

"""Editions and roles: the words by which every part of Postern says who speaks to whom."""

from __future__ import annotations

import re
from difflib import get_close_matches
from enum import Enum

import msgspec

from postern.catalogue.schema import Names


class Kind(Enum):
    """What sort of machine or person a role is."""

    SERVER = "server"
    """Of the mail organisation."""
    INFRASTRUCTURE = "infrastructure"
    """Beside it in the same network: directory, names, telephony."""
    CLIENT = "client"
    """Somebody's desk, browser or telephone."""
    OUTSIDE = "outside"
    """Other organisations, clouds."""


class Role(msgspec.Struct, frozen=True):
    """One role."""

    id: str
    names: Names
    kind: Kind
    aliases: tuple[str, ...] = ()
    """Other words for it, in any language, compared without case."""


class UnknownNameError(KeyError):
    """A word that is no edition, role or the like. `word` was given; `near` are the likeliest, `known` all ids."""

    def __init__(self, kind: str, word: str, near: tuple[str, ...], known: tuple[str, ...]) -> None:
        super().__init__(word)
        self.kind = kind
        self.word = word
        self.near = near
        self.known = known

    def __str__(self) -> str:
        """English, for errors in files; the command line writes its own."""
        hint = f"nearest: {', '.join(self.near)}" if self.near else f"known: {', '.join(self.known)}"
        return f"unknown {self.kind} {self.word!r}; {hint}"


_S, _I, _C, _O = Kind.SERVER, Kind.INFRASTRUCTURE, Kind.CLIENT, Kind.OUTSIDE

ROLES: tuple[Role, ...] = (
    Role(
        "hub-transport",
        Names("Hub Transport", "Транспортный сервер-концентратор"),
        _S,
        ("transport", "hub", "концентратор"),
    ),
    Role("edge-transport", Names("Edge Transport", "Пограничный транспортный сервер"), _S, ("edge", "пограничный")),
    Role("mailbox", Names("Mailbox", "Сервер почтовых ящиков"), _S, ("mbx", "почтовые ящики")),
    Role("client-access", Names("Client Access", "Сервер клиентского доступа"), _S, ("cas", "клиентский доступ")),
    Role(
        "unified-messaging",
        Names("Unified Messaging", "Сервер единой системы обмена сообщениями"),
        _S,
        ("um", "единая система обмена сообщениями"),
    ),
    Role(
        "public-folders", Names("Public folders (Exchange 2007)", "Общие папки (Exchange 2007)"), _S, ("общие папки",)
    ),
    Role(
        "bridgehead-2003", Names("Bridgehead (Exchange 2003)", "Сервер-плацдарм (Exchange 2003)"), _S, ("bridgehead",)
    ),
    Role(
        "frontend-2003",
        Names("Front end (Exchange 2003)", "Сервер переднего плана (Exchange 2003)"),
        _S,
        ("front end",),
    ),
    Role("backend-2003", Names("Back end (Exchange 2003)", "Фоновый сервер (Exchange 2003)"), _S, ("back end",)),
    Role(
        "public-folders-2003",
        Names("Public folders (Exchange 2003)", "Общие папки (Exchange 2003)"),
        _S,
        ("public folders 2003",),
    ),
    Role(
        "domain-controller",
        Names("Domain controller", "Контроллер домена"),
        _I,
        ("dc", "active directory", "ad", "ldap", "gc"),
    ),
    Role("dns-server", Names("DNS server", "DNS-сервер"), _I, ("dns",)),
    Role("smtp-relay", Names("SMTP relay", "Сервер ретрансляции SMTP"), _I, ("relay", "smart host", "smarthost")),
    Role("rms", Names("AD RMS server", "Сервер AD RMS"), _I, ("ad rms", "rights management")),
    Role(
        "lync",
        Names("Lync or Skype for Business", "Lync или Skype для бизнеса"),
        _I,
        ("ocs", "skype", "office communications server"),
    ),
    Role(
        "voip-gateway",
        Names("VoIP gateway or IP PBX", "Шлюз VoIP или IP-УАТС"),
        _I,
        ("voip", "pbx", "sip gateway", "ip pbx"),
    ),
    Role("file-server", Names("File share witness", "Файловый сервер-свидетель"), _I, ("witness",)),
    Role("backup-agent", Names("Backup agent", "Агент резервного копирования"), _I, ("backup", "vss")),
    Role("outbound-proxy", Names("Outbound proxy", "Исходящий прокси-сервер"), _I, ("proxy",)),
    Role("adfs", Names("AD FS server", "Сервер AD FS"), _I, ("ad fs", "federation")),
    Role(
        "directory-sync",
        Names("Directory synchronisation server", "Сервер синхронизации каталогов"),
        _I,
        ("azure ad connect", "entra connect"),
    ),
    Role(
        "partner-application",
        Names("Partner application (SharePoint)", "Партнёрское приложение (SharePoint)"),
        _I,
        ("sharepoint",),
    ),
    Role("outlook", Names("Outlook", "Outlook"), _C, ("mapi client",)),
    Role(
        "mail-client",
        Names("Mail program (IMAP4, POP3, SMTP)", "Почтовая программа (IMAP4, POP3, SMTP)"),
        _C,
        ("client", "clients", "thunderbird", "imap", "pop3", "клиент"),
    ),
    Role("web-client", Names("Web browser", "Веб-браузер"), _C, ("browser", "owa", "браузер")),
    Role("mobile", Names("Mobile device", "Мобильное устройство"), _C, ("activesync", "phone", "телефон")),
    Role("administrator", Names("Administrator", "Администратор"), _C, ("admin", "администратор")),
    Role("internet-smtp", Names("Internet mail servers", "Почтовые серверы Интернета"), _O, ("internet", "интернет")),
    Role(
        "hybrid-cloud",
        Names("Exchange Online", "Exchange Online"),
        _O,
        ("exchange online", "office 365", "microsoft 365", "cloud", "azure ad"),
    ),
)
BY_ID = {role.id: role for role in ROLES}

EDITIONS: dict[str, Names] = {
    "2003-2007": Names("Exchange 2003 and 2007", "Exchange 2003 и 2007"),
    "2010": Names("Exchange 2010", "Exchange 2010"),
    "2013": Names("Exchange 2013", "Exchange 2013"),
    "2016": Names("Exchange 2016", "Exchange 2016"),
    "2019": Names("Exchange 2019", "Exchange 2019"),
    "postern": Names("Postern", "Postern"),
}

SERVER_ROLES: dict[str, tuple[str, ...]] = {
    "2003-2007": (
        "hub-transport", "edge-transport", "mailbox", "client-access", "unified-messaging", "public-folders",
        "bridgehead-2003", "frontend-2003", "backend-2003", "public-folders-2003",
    ),
    "2010": ("hub-transport", "edge-transport", "mailbox", "client-access", "unified-messaging"),
    "2013": ("mailbox", "client-access", "edge-transport"),
    "2016": ("mailbox", "edge-transport"),
    "2019": ("mailbox", "edge-transport"),
    "postern": ("hub-transport", "mailbox", "client-access", "edge-transport", "unified-messaging"),
}  # fmt: skip
"""What a server of an edition can be installed as. Edge is alone on its computer in every edition."""

_INCLUDED: dict[tuple[str, str], tuple[str, ...]] = {
    ("2013", "mailbox"): ("hub-transport", "unified-messaging"),
    ("2016", "mailbox"): ("hub-transport", "client-access", "unified-messaging"),
    ("2019", "mailbox"): ("hub-transport", "client-access"),
}

INTERNAL = frozenset(role.id for role in ROLES if role.kind is Kind.SERVER and role.id != "edge-transport")
"""Servers between which, and between which and domain controllers, nothing may be filtered."""


def role(word: str) -> Role:
    """A role by id, alias or name in either language. Raises UnknownNameError."""
    found = _look_up(word)
    if found is None:
        raise UnknownNameError("role", word, _near(word, _words()), tuple(BY_ID))
    return BY_ID[found]


def edition(word: str) -> str:
    """An edition's id by id, year or product name. Raises UnknownNameError."""
    plain = re.sub(r"^(microsoft )?(exchange)?( server)?[ -]*", "", word.strip().lower()).replace("/", "-")
    plain = {"2003": "2003-2007", "2007": "2003-2007", "mixed": "2003-2007"}.get(plain, plain)
    if plain not in EDITIONS:
        raise UnknownNameError("edition", word, _near(plain, {one: one for one in EDITIONS}), tuple(EDITIONS))
    return plain


def effective_roles(edition_id: str, roles: tuple[str, ...]) -> frozenset[str]:
    """All roles a server plays: from 2013 on, the Mailbox server transports mail too, from 2016 on it is all roles."""
    return frozenset(roles).union(*(_INCLUDED.get((edition_id, one), ()) for one in roles))


def _words() -> dict[str, str]:
    """Every word for a role, in small letters, and the role's id."""
    words = {alias.lower(): one.id for one in ROLES for alias in one.aliases}
    words |= {name.lower(): one.id for one in ROLES for name in (one.names.en, one.names.ru)}
    return words | {one.id: one.id for one in ROLES}


def _look_up(word: str) -> str | None:
    plain = " ".join(word.lower().replace("_", " ").split())
    words = _words()
    return words.get(plain) or words.get(plain.replace(" ", "-")) or words.get(plain.removesuffix(" server"))


def _near(word: str, words: dict[str, str]) -> tuple[str, ...]:
    """Ids of the likeliest words, best first."""
    plain = word.lower()
    hits = get_close_matches(plain, words, n=6, cutoff=0.55)
    hits += [text for text in words if len(plain) > 2 and plain in text and text not in hits]
    return tuple(dict.fromkeys(words[hit] for hit in hits))[:3]

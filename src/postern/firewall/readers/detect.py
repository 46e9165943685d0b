"""Which format a ruleset has, and its characters."""

from __future__ import annotations

import codecs
import re
from collections.abc import Callable

import msgspec

from postern.firewall.readers import aws, azure, iptables, netsh, nftables, powershell
from postern.firewall.readers.aws import Hosts
from postern.firewall.readers.ruleset import Reading, RulesetError
from postern.firewall.readers.windows import DOMAIN, RPC
from postern.firewall.region import Interval

LIMIT = 32 << 20
"""Octets of a ruleset; the largest real ones are a hundredth of it."""


class Context(msgspec.Struct, frozen=True):
    """What a ruleset is read with."""

    hosts: Hosts
    profile: str = DOMAIN
    """The Windows network profile whose rules count."""
    rpc: Interval = RPC
    """Ports that the Windows keyword RPC stands for on the host."""


READERS: dict[str, Callable[[str, Context], Reading]] = {
    "nftables": lambda text, _with: nftables.read(text),
    "iptables": lambda text, _with: iptables.read(text),
    "netsh": lambda text, given: netsh.read(text, given.profile, given.rpc),
    "powershell": lambda text, given: powershell.read(text, given.profile, given.rpc),
    "aws": lambda text, given: aws.read(text, given.hosts),
    "azure": lambda text, given: azure.read(text, given.hosts),
}
"""By the name of the format."""

_JSON = (
    ("nftables", re.compile(r'"nftables"\s*:')),
    ("aws", re.compile(r'"SecurityGroups"\s*:|"AWS::EC2::SecurityGroup"')),
    ("azure", re.compile(r'"securityRules"\s*:|"Microsoft\.Network/networkSecurityGroups"', re.I)),
    ("powershell", re.compile(r'"Direction"\s*:')),
)
_TEXT = (
    ("iptables", re.compile(r"^\*(filter|nat|mangle|raw|security)\s*$", re.M)),
    ("powershell", re.compile(r"\b(New|Set)-NetFirewall(Rule|Profile)\b", re.I)),
    ("netsh", re.compile(r"\badvfirewall\s+(firewall|set)\b|^(Rule Name|Имя правила):", re.I | re.M)),
)
_NFT_LANGUAGE = re.compile(r"^\s*(add\s+)?table\s+(inet|ip|ip6)\s+\S+", re.M)


def read(text: str, given: Context, name: str = "") -> Reading:
    """A ruleset in a format, or in the one it looks like. Raises RulesetError; KeyError for an unknown format."""
    return READERS[name or recognise(text)](text, given)


def recognise(text: str) -> str:
    """The format of a text. Raises RulesetError."""
    start = text.lstrip("\ufeff \t\r\n")
    for name, mark in _JSON if start[:1] in ("{", "[") else _TEXT:
        if mark.search(text):
            return name
    if _NFT_LANGUAGE.search(text):
        raise RulesetError("this is nft's own language: load it and give the output of `nft -j list ruleset`")
    raise RulesetError(f"the format of the ruleset was not recognised. Known: {', '.join(READERS)}")


def decode(data: bytes) -> str:
    """The characters of a file: UTF-8, what PowerShell's `>` writes (UTF-16), or Russian Windows' console (cp866)."""
    if len(data) > LIMIT:
        raise RulesetError(f"the file is larger than {LIMIT >> 20} MiB")
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return data.decode("utf-16", "replace")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        guesses = [data.decode(name, "replace") for name in ("cp866", "cp1251")]
        return next((text for text in guesses if "Имя правила" in text), data.decode("latin-1"))

"""netsh advfirewall: a batch file for Windows Server 2008 and later."""

from __future__ import annotations

from collections.abc import Sequence

from postern.firewall.errors import FormatError
from postern.firewall.rules import heading
from postern.firewall.windows import DYNAMIC, ENDPOINT_MAPPER, WindowsRule, documented_rows, inbound
from postern.topology.model import Flow, Host, Topology

_WORDS = {DYNAMIC: "rpc", ENDPOINT_MAPPER: "rpc-epmap"}


def write(topology: Topology, flows: Sequence[Flow], host: Host | None) -> str:
    """A batch file with CRLF line ends. Raises FormatError without a host."""
    if host is None:
        raise FormatError("Windows filters on the host itself: name one with --host")
    rules = inbound(flows, host)
    names = dict.fromkeys([row.rule_name for row in documented_rows(host)] + [rule.name for rule in rules])
    lines = [
        "@echo off",
        f"rem {_batch(heading(topology, host))}",
        "rem Rules of the same names, Setup's among them, are replaced; others stay as they are.",
        "netsh advfirewall set allprofiles firewallpolicy blockinbound,allowoutbound",
        *(f'netsh advfirewall firewall delete rule name="{_batch(name)}" >nul 2>&1' for name in names),
        *(_add(rule) for rule in rules),
        "",
    ]
    return "\r\n".join(lines)


def _add(rule: WindowsRule) -> str:
    words = [
        "netsh advfirewall firewall add rule",
        f'name="{_batch(rule.name)}"',
        "dir=in action=allow enable=yes profile=any",
        f"protocol={rule.protocol.lower()}",
    ]
    if rule.ports:
        words.append(f"localport={','.join(_WORDS.get(port, port) for port in rule.ports)}")
    words.append(f"localip={','.join(rule.local) or 'any'}")
    words.append(f"remoteip={','.join(rule.remote) or 'any'}")
    if rule.program:
        words.append(f'program="{_program(rule.program)}"')
    words.append(f'description="{_batch(rule.description)}"')
    return " ".join(words)


def _program(path: str) -> str:
    if path.lower().startswith(("system32\\", "inetsrv\\")):
        folder = "%SystemRoot%\\" if path.lower().startswith("system32\\") else "%SystemRoot%\\System32\\"
        return folder + path
    return "%ExchangeInstallPath%" + path  # Setup's variable ends with a backslash


def _batch(text: str) -> str:
    """Text inside quotes of a batch file: only the percent sign is still read."""
    return text.replace("%", "%%").replace('"', "'")

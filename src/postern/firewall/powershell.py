"""PowerShell: New-NetFirewallRule of the NetSecurity module, Windows Server 2012 and later."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from postern.firewall.errors import FormatError
from postern.firewall.rules import heading
from postern.firewall.windows import WindowsRule, documented_rows, inbound
from postern.topology.model import Flow, Host, Topology


def write(topology: Topology, flows: Sequence[Flow], host: Host | None) -> str:
    """A script with CRLF line ends. Raises FormatError without a host."""
    if host is None:
        raise FormatError("Windows filters on the host itself: name one with --host")
    rows = documented_rows(host)
    lines = [
        "#Requires -RunAsAdministrator",
        f"# {heading(topology, host)}",
        "# Run it again and the rules are the same. Rules of the group Postern are replaced; Setup's are switched off,",
        "# because they let every address in; others stay as they are.",
        "$ErrorActionPreference = 'Stop'",
        "Set-NetFirewallProfile -All -Enabled True -DefaultInboundAction Block",
        "Get-NetFirewallRule -Group 'Postern' -ErrorAction SilentlyContinue | Remove-NetFirewallRule",
    ]
    if rows:
        lines.append("$setup = @(")
        lines += [f"    {_quoted(row.rule_name)}" for row in rows]
        lines += [
            ")",
            "Get-NetFirewallRule -DisplayName $setup -ErrorAction SilentlyContinue | Disable-NetFirewallRule",
        ]
    for rule in inbound(flows, host):
        lines += _add(rule)
    return "\r\n".join([*lines, ""])


def _add(rule: WindowsRule) -> Iterator[str]:
    yield "New-NetFirewallRule -Group 'Postern' -Direction Inbound -Action Allow -Profile Any `"
    yield f"    -Name {_quoted('Postern-' + rule.key)} -DisplayName {_quoted(rule.name)} `"
    yield f"    -Description {_quoted(rule.description)} `"
    ports = f" -LocalPort {_list(rule.ports)}" if rule.ports else ""
    yield f"    -Protocol {rule.protocol}{ports} `"
    yield f"    -LocalAddress {_list(rule.local) or 'Any'} `"
    remote = f"    -RemoteAddress {_list(rule.remote) or 'Any'}"
    if rule.program:
        yield remote + " `"
        yield f"    -Program {_program(rule.program)} | Out-Null"
    else:
        yield remote + " | Out-Null"


def _program(path: str) -> str:
    if path.lower().startswith(("system32\\", "inetsrv\\")):
        folder = "$env:SystemRoot\\" if path.lower().startswith("system32\\") else "$env:SystemRoot\\System32\\"
        return f'"{folder}{path}"'
    return f'"$($env:ExchangeInstallPath){path}"'  # Setup's variable ends with a backslash


def _list(items: Sequence[str]) -> str:
    return ",".join(_quoted(item) for item in items)


def _quoted(text: str) -> str:
    """A literal string (about_Quoting_Rules)."""
    return "'" + text.replace("'", "''") + "'"

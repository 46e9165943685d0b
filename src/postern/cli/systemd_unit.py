"""The systemd unit that `postern quickstart` writes."""

from __future__ import annotations

import sys
from pathlib import Path

UNIT = """\
[Unit]
Description=Postern mail server
After=network-online.target
Wants=network-online.target

[Service]
Type=exec
User={user}
Group={user}
ExecStart={program} serve --config {config}
ExecReload=/bin/kill -HUP $MAINPID
KillMode=mixed
TimeoutStopSec=60
Restart=on-failure
RestartSec=2
# settings that cannot be used stay so until somebody mends them
RestartPreventExitStatus=78
LimitNOFILE=1048576
# ports below 1024 without being root
AmbientCapabilities=CAP_NET_BIND_SERVICE
CapabilityBoundingSet=CAP_NET_BIND_SERVICE
NoNewPrivileges=yes
ProtectSystem=strict
ReadWritePaths={data}
ProtectHome={protect_home}
PrivateTmp=yes
PrivateDevices=yes
ProtectClock=yes
ProtectHostname=yes
ProtectKernelLogs=yes
ProtectKernelModules=yes
ProtectKernelTunables=yes
ProtectControlGroups=yes
ProtectProc=invisible
RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
LockPersonality=yes
SystemCallArchitectures=native
SystemCallFilter=@system-service
SystemCallErrorNumber=EPERM
UMask=0077

[Install]
WantedBy=multi-user.target
"""


def render(config: Path, data: Path, user: str) -> str:
    """The unit, with the program that runs now."""
    beside = Path(sys.executable).parent / "postern"
    program = [str(beside)] if beside.exists() else [sys.executable, "-m", "postern"]
    hidden = any(str(path).startswith(("/home", "/root")) for path in (config, data, beside))
    return UNIT.format(
        user=user,
        program=" ".join(quoted(word, command=True) for word in program),
        config=quoted(str(config), command=True),
        data=quoted(str(data)),
        protect_home="no" if hidden else "yes",
    )


def quoted(path: str, *, command: bool = False) -> str:
    """A word of a unit file (systemd.syntax(7), systemd.unit(5): specifiers; systemd.service(5): `$` in commands)."""
    path = path.replace("%", "%%")
    if command:
        path = path.replace("$", "$$")
    if not any(letter.isspace() or letter in "\"'\\;" for letter in path):
        return path
    return '"' + path.replace("\\", "\\\\").replace('"', '\\"') + '"'

"""`postern serve`: run the organisation of a settings file, or say exactly why that is not possible."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from postern.cli.language import _
from postern.cli.output import fail
from postern.cli.refusal_texts import translated
from postern.config.listeners import listeners
from postern.config.loading import DEFAULT_PATHS, SettingsError, load
from postern.config.settings import Settings

if TYPE_CHECKING:
    from postern.roles.supervisor import Ready

EX_CONFIG = 78
EX_NOPERM = 77
CAP_NET_BIND_SERVICE = 10
"""Bit of the capability (capabilities(7))."""


def config_path(given: Path | None) -> Path:
    """The settings file: given, from POSTERN_CONFIG, ./postern.toml or /etc/postern/postern.toml."""
    if given is not None:
        return given
    if named := os.environ.get("POSTERN_CONFIG"):
        return Path(named)
    for path in DEFAULT_PATHS:
        if path.exists():
            return path
    return DEFAULT_PATHS[-1]


def serve(config: Path | None) -> int:
    """Serve until SIGTERM; the exit status."""
    path = config_path(config)
    try:
        settings = load(path)
    except SettingsError as problem:
        fail(str(problem), EX_CONFIG)
    try:
        found = (settings.data_dir / "directory.db").exists()
    except PermissionError:
        fail(
            _(
                "{data}: permission denied. Start the server as the owner of the data directory (its systemd unit"
                " does), or give it to its user: chown -R USER: {data}",
                data=settings.data_dir,
            )
        )
    if not found:
        fail(_("there is no organisation in {data}; `postern quickstart` makes one", data=settings.data_dir), EX_CONFIG)
    check_privileges(settings)
    return serve_settings(settings, path, None)


def serve_settings(settings: Settings, path: Path, on_ready: Callable[[Ready], None] | None) -> int:
    """Start the supervisor. A reload reads the file again."""
    from postern.roles.instance import StartError
    from postern.roles.supervisor import run

    try:
        return run(settings, reload=lambda: load(path), on_ready=on_ready)
    except StartError as problem:
        fail(translated(str(problem)))
    except OSError as problem:
        # a listener's error carries its advice as text (net.listener.BindError)
        fail(problem.strerror or str(problem))


def check_privileges(settings: Settings) -> None:
    """End with what to do if ports below the limit are wanted and may not be opened."""
    limit = first_free_port()
    low = sorted({one.port for one in listeners(settings) if one.port < limit})
    if low and not may_bind_low_ports():
        fail(advice(low, limit), EX_NOPERM)


def advice(ports: list[int], limit: int) -> str:
    """Which privilege is missing, and four ways out of it."""
    program = os.path.realpath(sys.executable)
    return _(
        "not allowed to listen on the ports {ports}: below {limit} the privilege CAP_NET_BIND_SERVICE is needed."
        " Do one of these:\n"
        "  - start it by its systemd unit, which has the privilege: systemctl enable --now postern"
        " (`postern quickstart` writes the unit)\n"
        "  - give the privilege to this Python, for everybody who may run it:\n"
        "    setcap cap_net_bind_service=+ep {program}\n"
        "  - lower the limit of the machine: sysctl -w net.ipv4.ip_unprivileged_port_start={lowest}\n"
        "  - choose ports of {limit} or more in the settings: [listen.smtp] port = 2525",
        ports=", ".join(map(str, ports)),
        limit=limit,
        lowest=ports[0],
        program=program,
    )


def first_free_port() -> int:
    """The first port that anybody may listen on (ip-sysctl: ip_unprivileged_port_start)."""
    try:
        return int(Path("/proc/sys/net/ipv4/ip_unprivileged_port_start").read_text("ascii"))
    except (OSError, ValueError):
        return 1024


def may_bind_low_ports(status: Path = Path("/proc/self/status")) -> bool:
    """Whether this process has the privilege."""
    try:
        for line in status.read_text("ascii", "replace").splitlines():
            if line.startswith("CapEff:"):
                return bool(int(line.split()[1], 16) >> CAP_NET_BIND_SERVICE & 1)
    except (OSError, ValueError):
        pass
    return os.geteuid() == 0

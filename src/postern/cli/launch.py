"""The two commands that become servers, read without the command line library: workers must not carry it in memory."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import msgspec

_VALUES = {
    "serve": {"--config": "config", "-c": "config"},
    "demo": {"--port-base": "port_base", "--data": "data", "--workers": "workers"},
}
_SWITCHES: dict[str, dict[str, str]] = {"serve": {}, "demo": {"--json": "json"}}


class Launch(msgspec.Struct, frozen=True):
    """What was asked for."""

    command: str
    config: Path | None = None
    port_base: int | None = None
    data: Path | None = None
    workers: int = 2
    json: bool = False


def recognise(arguments: Sequence[str]) -> Launch | None:
    """A plain `serve` or `demo` command line; None leaves it (help, mistakes) to the library."""
    if not arguments or arguments[0] not in _VALUES:
        return None
    command, found = arguments[0], {}
    rest = list(arguments[1:])
    while rest:
        word, equals, value = rest.pop(0).partition("=")
        if word in _SWITCHES[command] and not equals:
            found[_SWITCHES[command][word]] = "true"
        elif word in _VALUES[command] and (equals or rest):
            found[_VALUES[command][word]] = value if equals else rest.pop(0)
        else:
            return None
    if any(not found.get(name, "0").isdecimal() for name in ("port_base", "workers")):
        return None
    return Launch(
        command,
        config=Path(found["config"]) if "config" in found else None,
        port_base=int(found["port_base"]) if "port_base" in found else None,
        data=Path(found["data"]) if "data" in found else None,
        workers=int(found.get("workers", "2")),
        json="json" in found,
    )


def start(launch: Launch) -> int:
    """Run the server; the exit status."""
    if launch.command == "demo":
        from postern.cli.demo import demo

        return demo(launch.port_base, launch.data, json=launch.json, workers=launch.workers)
    from postern.cli.serve import serve

    return serve(launch.config)

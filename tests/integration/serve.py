"""Runs a server from settings in a JSON file; prints its ports when it is ready."""

import json
import sys
from importlib import import_module
from pathlib import Path

import msgspec

from postern.config.settings import Settings
from postern.roles import supervisor
from postern.roles.instance import StartError

HASTE = {
    "telemetry.daily": {"FLUSH_SECONDS": 0.05},
    "roles.certificate_watch": {"LOOK_EVERY_S": 0.1},
    "roles.mirroring": {"LOOK_EVERY_S": 0.3},
    "roles.worker": {"UPKEEP_EVERY_S": 0.5},
    "roles.background": {"OFFLINE_FIRST_S": 0.5},
    "frontends.ews.pushing": {"LOOK_S": 0.1},
}
"""Intervals at which a server looks, shorter than the product's: tests are about what is found then."""


def hurry() -> None:
    for module, constants in HASTE.items():
        for name, seconds in constants.items():
            found = import_module(f"postern.{module}")
            assert getattr(found, name) > seconds, f"{module}.{name}"
            setattr(found, name, seconds)


def read() -> Settings:
    return msgspec.json.decode(Path(sys.argv[1]).read_bytes(), type=Settings)


if __name__ == "__main__":
    hurry()
    try:
        status = supervisor.run(read(), reload=read, on_ready=lambda ready: print(json.dumps(ready.ports), flush=True))
    except StartError as error:
        print(error, file=sys.stderr)
        status = 1
    sys.exit(status)

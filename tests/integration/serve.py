"""Runs a server from settings in a JSON file; prints its ports when it is ready."""

import json
import sys
from pathlib import Path

import msgspec

from postern.config.settings import Settings
from postern.roles import supervisor
from postern.roles.instance import StartError


def read() -> Settings:
    return msgspec.json.decode(Path(sys.argv[1]).read_bytes(), type=Settings)


if __name__ == "__main__":
    try:
        status = supervisor.run(read(), reload=read, on_ready=lambda ready: print(json.dumps(ready.ports), flush=True))
    except StartError as error:
        print(error, file=sys.stderr)
        status = 1
    sys.exit(status)

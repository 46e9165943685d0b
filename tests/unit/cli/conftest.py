from __future__ import annotations

import json
from types import SimpleNamespace

import pytest

from postern.cli import language
from postern.cli.main import main


@pytest.fixture(autouse=True)
def english(monkeypatch):
    monkeypatch.setattr(language, "_chosen", "en")
    monkeypatch.delenv("POSTERN_CONFIG", raising=False)
    for variable in ("LC_ALL", "LC_MESSAGES", "LANG"):
        monkeypatch.delenv(variable, raising=False)


@pytest.fixture
def postern(capsys, monkeypatch):
    """Runs a command line in this process: status, output, errors, and the output's JSON."""

    def run(*words: str) -> SimpleNamespace:
        status = 0
        try:
            main(list(words))
        except SystemExit as ended:
            status = ended.code if isinstance(ended.code, int) else 0 if ended.code is None else 1
        out, err = capsys.readouterr()
        parsed = json.loads(out) if "--json" in words and out else None
        return SimpleNamespace(status=status, out=out, err=err, json=parsed)

    return run

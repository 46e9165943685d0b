"""`postern directory`: join, status, sync, leave, in both languages, and what it says when something is wrong."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import trustme
from tests.interop import directory_servers as ds

pytestmark = pytest.mark.interop
ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(scope="module")
def server():
    with ds.slapd(trustme.CA(), ds.people(60), log=100) as found:
        yield found


@pytest.fixture
def postern(tmp_path):
    (tmp_path / "data").mkdir()
    config = tmp_path / "postern.toml"
    config.write_text(f'[server]\ndata = "{tmp_path / "data"}"\n')
    environment = {**os.environ, "PYTHONPATH": f"{ROOT / 'src'}:{ROOT}", "LANG": "C", "LC_ALL": "C"}

    def run(*words: str, status: int = 0):
        command = [sys.executable, "-m", "postern", *words, "--config", str(config)]
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=60, env=environment, stdin=subprocess.DEVNULL
        )
        assert done.returncode == status, done.stdout + done.stderr
        return json.loads(done.stdout) if "--json" in words and not status else done.stdout + done.stderr

    import asyncio

    from postern.config.settings import Server, Settings
    from postern.roles.parts import Parts

    async def make():
        await Parts.open(Settings(server=Server(data=str(tmp_path / "data"))), "test", None, 0).close()

    asyncio.run(make())
    return run


def joining(tmp_path, port, ca, *more):
    (tmp_path / "secret").write_text(ds.PASSWORD + "\n")
    return (
        "directory", "join", "example.org", "--kind", "ldap", "--server", f"127.0.0.1:{port}", "--base", ds.BASE,
        "--user", ds.READER, "--password-file", str(tmp_path / "secret"), "--trust", str(ca), *more,
    )  # fmt: skip


def test_join_status_sync_leave(server, postern, tmp_path):
    port, ca = server
    said = postern(*joining(tmp_path, port, ca))
    assert "example.org is joined." in said
    assert "62 entries read" in said
    assert "60 new accounts" in said
    assert "Mail for example.org is not accepted yet: `postern domain add`." in said
    kept = tmp_path / "data" / "sources" / "example.org.password"
    assert kept.stat().st_mode & 0o777 == 0o600
    (tmp_path / "secret").unlink()  # a copy is kept

    (status,) = postern("directory", "status", "--json")
    assert (status["source"], status["entries"], status["error"]) == ("example.org", 62, "")
    assert [one["error"] for one in status["controllers"]] == [""]
    assert "127.0.0.1" in postern("directory", "status")
    (report,) = postern("directory", "sync", "--json")
    assert (report["full"], report["added"], report["changed"], report["removed"]) == (False, 0, 0, 0)
    (report,) = postern("directory", "sync", "example.org", "--full", "--json")
    assert (report["full"], report["read"], report["changed"]) == (True, 62, 0)
    assert "Прочитано записей: " in postern("--lang", "ru", "directory", "sync")

    assert "did you mean example.org?" in postern("directory", "sync", "exmple.org", status=1)
    left = postern("directory", "leave", "example.org", "--json")
    assert left == {"source": "example.org", "kept": 62}
    assert not kept.exists()
    assert postern("directory", "status", "--json") == []


def test_a_join_that_cannot_work_changes_nothing(server, postern, tmp_path):
    port, ca = server
    good = joining(tmp_path, port, ca)
    (tmp_path / "secret").write_text("wrong")
    assert "may not sign in: invalidCredentials" in postern(*good, status=1)
    (tmp_path / "secret").write_text("")
    assert "no password" in postern(*good, status=1)
    assert "filter" in postern(*joining(tmp_path, port, ca, "--filter", "(l=Riga"), status=1)
    assert "127.0.0.1:1" in postern(*joining(tmp_path, 1, ca), status=1)
    assert "--password-file" in postern("directory", "join", "example.org", "--user", ds.READER, status=1)
    assert postern("directory", "status", "--json") == []
    assert not list((tmp_path / "data" / "sources").glob("*"))

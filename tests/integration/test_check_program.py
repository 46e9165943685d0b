"""`postern check` against a running organisation: all green, and each fault with the finding that it deserves."""

from __future__ import annotations

import json
import subprocess
import sys
from xml.etree import ElementTree

import pytest
from tests.interop.demo import start_demo, stop_demo
from tests.ports import free_ports

from postern.catalogue.load import load

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    process, facts = start_demo(tmp_path_factory.mktemp("check") / "data")
    yield facts
    stop_demo(process)


def check(*arguments):
    command = [sys.executable, "-m", "postern", "check", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60)


@pytest.fixture
def changed(demo):
    """The organisation's settings with something else in them than the running server has."""
    made = []

    def write(name, *pairs):
        text = (demo.data / "postern.toml").read_text()
        for old, new in pairs:
            assert old in text
            text = text.replace(old, new)
        path = demo.data / f"{name}.toml"
        path.write_text(text)
        made.append(path)
        return path

    yield write
    for path in made:
        path.unlink()


def codes(done):
    return {(row["port"], one["code"]) for row in json.loads(done.stdout) for one in row.get("findings", ())}


def test_all_listeners_are_green(demo):
    done = check("--config", demo.data / "postern.toml", "--json")
    rows = json.loads(done.stdout)
    assert done.returncode == 0, done.stderr
    assert {row["port"] for row in rows} == set(demo.ports.values())
    assert {path for row in rows for path in row["paths"]} == {
        path.id for path in load("postern").paths if path.listener is not None
    }
    assert {row["state"] for row in rows} == {"ok"}
    assert not codes(done)
    table = check("--config", demo.data / "postern.toml", "--lang", "ru")
    assert "ВЕРНО" in table.stdout
    assert f"{len(demo.ports)}, с предупреждениями 0, с ошибками 0" in table.stdout


def test_a_closed_port(demo, changed):
    (closed,) = free_ports(1)
    done = check("--config", changed("closed", (f"port = {demo.ports['imap']}\n", f"port = {closed}\n")), "--json")
    assert done.returncode == 1
    assert codes(done) == {(closed, "closed")}


def test_a_mechanism_missing_and_one_too_many(demo, changed):
    smtp, imap = (f"port = {demo.ports[name]}\n" for name in ("smtp", "imap"))
    path = changed(
        "mechanisms",
        (smtp, smtp + 'mechanisms = ["PLAIN"]\n'),
        (imap, imap + 'mechanisms = ["SCRAM-SHA-256"]\n'),
    )
    done = check("--config", path, "--json")
    assert codes(done) == {(demo.ports["smtp"], "mechanism-missing"), (demo.ports["imap"], "mechanism-extra")}
    assert done.returncode == 1


def test_a_wrong_certificate(demo, changed):
    done = check("--config", changed("name", ('"mail.example.org"', '"mail.example.net"')), "--json")
    wrong = {port for port, code in codes(done) if code == "certificate-name"}
    assert wrong == set(demo.ports.values()) - {demo.ports["metrics"], demo.ports["http"]}
    assert done.returncode == 1


def test_one_host_by_address_with_reports(demo, tmp_path):
    base = demo.ports["smtp"] - 25
    junit, page = tmp_path / "report.xml", tmp_path / "report.html"
    done = check("--host", demo.host, "--port-base", base, "--json", "--junit", junit, "--html", page)
    assert done.returncode == 0, done.stdout
    # NTLM is not offered by default, and the demo does so on the web
    assert {one for one in codes(done) if one[1] == "mechanism-extra"} == {(demo.ports["https"], "mechanism-extra")}
    assert {code for _, code in codes(done)} == {"certificate-untrusted", "certificate-own", "mechanism-extra"}
    suite = ElementTree.parse(junit).getroot()[0]
    seen = [path.listener for path in load("postern").paths if path.listener is not None]
    outside = [one for one in seen if one.on_by_default and not one.loopback_only]
    assert int(suite.get("tests")) == len(suite.findall("testcase")) == len(outside)
    assert suite.get("failures") == "0"
    text = page.read_text()
    assert "Check of the data paths" in text
    assert "postern.imaps" in text
    trusted = check(
        "--host", demo.host, "--port-base", base, "--trust", demo.data / "tls" / "certificate.pem", "--json"
    )
    assert {code for _, code in codes(trusted)} == {"mechanism-extra"}


def test_a_topology_with_a_client_zone(tmp_path):
    port = free_ports(1)[0]
    file = tmp_path / "topology.toml"
    file.write_text(
        f"""
organisation = "Example & <sons>"
[[zone]]
name = "office"
networks = ["127.9.0.0/16"]
trust = "internal"
roles = ["mail-client"]
[[zone]]
name = "inside"
networks = ["127.8.0.0/16"]
trust = "internal"
[[host]]
name = "mail.example.org"
addresses = ["127.8.0.1"]
zone = "inside"
edition = "postern"
roles = ["hub-transport", "mailbox", "client-access"]
ports = {{ "postern.imaps" = {port} }}
"""
    )
    page = tmp_path / "report.html"
    done = check("--topology", file, "--from", "office", "--json", "--html", page)
    assert done.returncode == 1, done.stderr
    rows = [row for row in json.loads(done.stdout) if row["state"] != "skipped"]
    assert {row["host"] for row in rows} == {"mail.example.org"}
    assert any(row["port"] == port and row["paths"] == ["postern.imaps"] for row in rows)
    assert {one["code"] for row in rows for one in row["findings"]} == {"closed"}
    assert "<svg" in page.read_text()
    assert "<sons>" not in page.read_text()
    for arguments, said in (
        (("--from", "ofice"), "office"),
        (("--host", "mail.exmple.org"), "mail.example.org"),
    ):
        wrong = check("--topology", file, *arguments)
        assert wrong.returncode == 2
        assert said in wrong.stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--host", "127.0.0.1", "--edition", "2017"), "2016"),
        (("--host", "no.such.host.invalid"), "no.such.host.invalid"),
        (("--host", "127.0.0.1", "--edition", "2016", "--port-base", "9000"), "--port-base"),
        (("--host", "127.0.0.1", "--trust", "/nowhere.pem"), "/nowhere.pem"),
        (("--topology", "/nowhere.toml"), "/nowhere.toml"),
        (("--host", "127.0.0.1", "--timeout", "0"), "--timeout"),
    ],
)
def test_bad_input_is_told(arguments, said):
    done = check(*arguments)
    assert done.returncode != 0
    assert said in done.stderr
    assert "Traceback" not in done.stderr

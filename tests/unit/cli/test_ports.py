"""`postern ports`: every row comes back, filters narrow, mistakes are answered with the nearest names."""

from __future__ import annotations

import csv
import io
import re
from pathlib import Path

import pytest

REFERENCE = Path(__file__).resolve().parents[2] / "data" / "datapaths"


def reference() -> list[tuple[str, ...]]:
    """(ports, authentication, encryption) of all rows of the reference tables, as printed."""
    found = []
    for path in sorted(REFERENCE.glob("*.csv")):
        with path.open(encoding="utf-8", newline="") as file:
            for row in csv.DictReader(file):
                words = row.get("supported_authentication", row.get("authentication", ""))
                found.append(
                    (
                        row.get("ports", row.get("connection", "")),
                        "; ".join(part.strip() for part in words.split(";") if part.strip()),
                        row.get("encryption_supported", row.get("encryption", "")),
                    )
                )
    return found


def test_all_445_rows_come_back(postern):
    rows = [row for row in postern("ports", "--edition", "all", "--json").json if row["editions"] != ["postern"]]
    got = [(row["port_text"], "; ".join(row["authentication_supported"]), row["encryption"]) for row in rows]
    assert len(got) == 445
    assert sorted(got) == sorted(reference())


def test_alone_it_is_our_own_edition(postern):
    rows = postern("ports", "--json").json
    assert {"postern.imaps", "postern.smtp", "postern.dns"} <= {row["id"] for row in rows}
    assert all(row["editions"] == ["postern"] for row in rows)
    imaps = next(row for row in rows if row["id"] == "postern.imaps")
    assert imaps["ports"] == [{"first": 993, "last": 993, "transport": "tcp", "dynamic": False, "any": False}]


@pytest.mark.parametrize(
    ("words", "first", "count"),
    [
        (("--edition", "2010", "--table", "windows-firewall"), "2010.firewall.MSExchangeADTopology-RPC", 54),
        (("--table", "matrix"), "mixed.hub-2007.hub-2007", 196),
        (("--edition", "2016", "--source", "internet-smtp", "--port", "25"), "2016.mail-flow.inbound", 4),
        (
            ("-e", "2016", "--role", "edge-transport", "--direction", "in", "--protocol", "ldap"),
            "2016.edge.edgesync",
            4,
        ),
        (
            ("--between", "Outlook", "Client Access", "-e", "2016,2019", "--table", "ports"),
            "2016.clients.autodiscover",
            6,
        ),
        (("--port", "53/udp", "-e", "postern"), "postern.dns", 1),
        (
            ("--encryption", "none", "-e", "2010", "--port", "80", "--table", "data-paths"),
            "2010.client-access.autodiscover",
            10,
        ),
        (("--edition", "Exchange 2007", "--protocol", "sip"), "mixed.client-access-2007.unified-messaging-2007", 2),
    ],
)
def test_filters(postern, words, first, count):
    rows = postern("ports", *words, "--json").json
    assert (rows[0]["id"], len(rows)) == (first, count)


def test_a_modern_mailbox_server_answers_for_all_roles_it_plays(postern):
    ids = {row["id"] for row in postern("ports", "-e", "2016", "--role", "mailbox", "--json").json}
    assert {"internal.front-end.smtp", "internal.um.call-router", "2016.clients.owa"} <= ids
    ids = {row["id"] for row in postern("ports", "-e", "2013", "--role", "mailbox", "--json").json}
    assert "internal.front-end.smtp" not in ids


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("--edition", "2015"), "nearest: 201"),
        (("--role", "maibox"), "nearest: mailbox"),
        (("--source", "Outlok"), "nearest: outlook"),
        (("--between", "outlook", "clent access"), "nearest: client-access"),
        (("--protocol", "imapp"), "nearest: imap"),
        (("--encryption", "never"), "--encryption"),
        (("--table", "ports-2010"), "nearest: ports"),
        (("--port", "70000"), "from 1 to 65535"),
        (("--port", "http"), "from 1 to 65535"),
        (("--direction", "in"), "give --role"),
        (("--json", "--csv"), "choose one"),
    ],
)
def test_mistakes(postern, words, says):
    done = postern("ports", *words)
    assert done.status == 2 and says in done.err and not done.out


def test_a_role_that_resembles_nothing(postern):
    assert "there are: hub-transport" in postern("ports", "--role", "qqqqqq").err


def test_table_names_who_where_and_how(postern):
    out = postern("ports", "--edition", "2016", "--source", "mobile", "--port", "443").out
    row = next(line for line in out.splitlines() if line.startswith("2016.clients.activesync"))
    assert re.split("  +", row)[1:4] == ["Mobile device", "Client Access", "443/tcp"]
    assert "required: TLS" in row and "data paths" in out
    assert all(len(line) <= 160 for line in out.splitlines())
    assert "No data path fits." in postern("ports", "-e", "postern", "--port", "5060").out


def test_russian(postern):
    out = postern("--lang", "ru", "ports", "--edition", "2016", "--port", "50636").out
    assert "Синхронизация EdgeSync" in out and "всегда: LDAP" in out and "Путей данных: 4" in out
    assert "нет роли «maibox»; ближайшие: mailbox" in postern("--lang", "ru", "ports", "--role", "maibox").err


def test_csv(postern):
    rows = list(csv.DictReader(io.StringIO(postern("ports", "-e", "all", "--csv").out)))
    assert len(rows) == len(postern("ports", "-e", "all", "--json").json)
    first = next(row for row in rows if row["id"] == "2010.transport.hub-to-hub")
    assert (first["ports"], first["encryption"], first["encrypted_by_default"]) == ("25/tcp", "yes: TLS", "yes")


def test_markdown(postern):
    lines = postern("ports", "-e", "2010", "--markdown").out.splitlines()
    cells = {len(re.split(r"(?<!\\)\|", line)) for line in lines}
    assert len(cells) == 1 and len(lines) == 2 + len(postern("ports", "-e", "2010", "--json").json)
    assert any("Bin\\" not in line and "2010.transport.hub-to-hub" in line for line in lines)


def test_html(postern):
    page = postern("ports", "-e", "2016", "--html").out
    assert page.startswith("<!DOCTYPE html>") and "2016.clients.imap" in page
    assert "Default Frontend &lt;" in page or "<server>" not in page


def test_explain(postern):
    out = postern("ports", "explain", "50636").out
    assert "Exchange 2010: EdgeSync service" in out and "Exchange 2016, Exchange 2019" in out
    assert "when closed: The Edge keeps old recipients" in out
    assert "Also inside a range: 1024-65535/udp" in out
    assert "RPC endpoint mapper (135)" in out
    assert "RPC endpoint mapper" not in postern("ports", "explain", "53/udp").out
    ids = [row["id"] for row in postern("ports", "explain", "50636", "--json").json]
    assert ids[0] == "2010.transport.edgesync" and ids[-1].startswith("internal.um.media")


def test_explain_a_port_nobody_uses(postern):
    out = postern("ports", "explain", "9").out
    assert "No data path names port 9. Nearest: 23, 25." in out
    assert "Nearest: 993" in postern("ports", "explain", "994/tcp").out
    assert postern("ports", "explain", "0").status == 2


def test_matrix(postern):
    rows = postern("ports", "matrix", "--json").json
    assert len(rows) == 196
    lines = postern("ports", "matrix", "--markdown").out.splitlines()
    table = [re.split(r" ?\| ?", line) for line in lines if line.startswith("|")]
    assert len(table) == 16 and {len(row) for row in table} == {17}
    hub = table[2]
    assert hub[1].startswith("1 Hub Transport") and hub[2] == "25 587" and hub[3] == "-" and hub[15] == "AD"
    assert "<table" in postern("ports", "matrix", "--html").out
    out = postern("ports", "matrix").out
    assert "14 Domain controller" in out


def test_listening_follows_the_settings(postern, tmp_path):
    (tmp_path / "p.toml").write_text("[listen.imap]\nport = 1143\n")
    rows = postern("ports", "listening", "-c", str(tmp_path / "p.toml"), "--json").json
    assert {row["id"]: row["port"] for row in rows}["imap"] == 1143

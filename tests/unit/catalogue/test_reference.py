"""Every row of the reference tables is in the catalogue with the same ports, authentication and encryption."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from postern.catalogue.load import FILES, CatalogueError, all_rows, load, parse_csv, parse_ports
from postern.catalogue.roles import BY_ID, SERVER_ROLES, Kind, effective_roles
from postern.catalogue.schema import DataPath, Level

REFERENCE = Path(__file__).resolve().parents[2] / "data" / "datapaths"


def reference(name: str) -> list[dict[str, str]]:
    with (REFERENCE / name).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def table(name: str, edition: str = "") -> list[DataPath]:
    return [p for p in all_rows() if p.table == name and (not edition or edition in p.editions)]


def joined(words: tuple[str, ...]) -> str:
    return "; ".join(words)


def authentication(text: str) -> str:
    return joined(tuple(part.strip() for part in text.split(";")))


def test_exchange_2010():
    rows, paths = reference("exchange-2010-data-paths.csv"), table("data-paths")
    assert len(rows) == len(paths) == 55
    for row, path in zip(rows, paths, strict=True):
        assert (path.section, path.names.en, path.port_text) == (row["table"], row["data_path"], row["ports"])
        assert (path.source.en, path.destination.en) == (row["source_role"], row["destination_role"])
        assert joined(path.authentication_default) == authentication(row["default_authentication"]), path.id
        assert joined(path.authentication_supported) == authentication(row["supported_authentication"]), path.id
        assert path.encryption == row["encryption_supported"]
        assert path.encrypted_by_default is {"yes": True, "no": False}[row["encrypted_by_default"]]
        assert ";".join(path.protocols) == row["protocols"]
        assert path.confidence == row["confidence"]


def test_windows_firewall_2010():
    rows, paths = reference("exchange-2010-windows-firewall-rules.csv"), table("windows-firewall")
    assert len(rows) == len(paths) == 54
    for row, path in zip(rows, paths, strict=True):
        assert (path.rule_name, path.rule_name_ru) == (row["rule_name"], row["rule_name_ru"])
        assert (path.port_text, path.program) == (row["ports"], row["program"])
        wanted = set(SERVER_ROLES["2010"])
        if row["server_roles"] != "all":
            wanted = {role.lower().replace(" ", "-") for role in row["server_roles"].split(";")}
        assert set(path.destination_roles) == wanted, path.id


@pytest.mark.parametrize(
    ("name", "edition"),
    [
        ("exchange-2013-ports.csv", "2013"),
        ("exchange-2016-2019-ports.csv", "2016"),
        ("exchange-2016-2019-ports.csv", "2019"),
    ],
)
def test_ports(name, edition):
    rows, paths = reference(name), table("ports", edition)
    assert len(rows) == len(paths) == 41
    for row, path in zip(rows, paths, strict=True):
        assert (path.section, path.names.en, path.port_text) == (row["section"], row["purpose"], row["ports"])
        assert (path.source.en, path.destination.en) == (row["source"], row["destination"])
        assert path.encryption == row["encryption"]
        assert not row["purpose_ru"] or path.names.ru


def test_matrix():
    rows, paths = reference("exchange-2003-2007-mixed-matrix.csv"), table("matrix")
    assert len(rows) == len(paths) == 196
    for row, path in zip(rows, paths, strict=True):
        assert (path.destination.en, path.source.en) == (row["server"], row["peer"])
        assert (path.destination.ru, path.source.ru) == (row["server_ru"], row["peer_ru"])
        assert (path.port_text, path.purpose.en) == (row["connection"], row["service"])
        assert path.none is (row["connection"] == "none")


def test_internal():
    rows, paths = reference("internal-ports-2013-2019.csv"), table("internal")
    assert len(rows) == len(paths) == 58
    for row, path in zip(rows, paths, strict=True):
        ends = (row["peer"], row["role"]) if row["direction"] == "listen" else (row["role"], row["peer"])
        assert (path.source.en, path.destination.en) == ends
        assert ";".join(path.editions) == row["versions"]
        assert (path.port_text, path.direction) == (row["ports"], row["direction"])
        assert (path.service.en, path.names.en) == (row["service"], row["purpose"])
        assert joined(path.authentication_supported) == authentication(row["authentication"])
        assert (path.encryption, path.default_state.en) == (row["encryption"], row["default_state"])
        assert path.both_ways is (row["direction"] == "both")


def test_there_are_445_rows_beside_our_own():
    assert len([path for path in all_rows() if "postern" not in path.editions]) == 445


def cyrillic(text: str) -> bool:
    return any("а" <= letter <= "я" for letter in text.lower())


def test_texts_are_there_in_both_languages():
    for path in all_rows():
        assert path.purpose.en and path.purpose.ru, path.id
        assert path.none or (path.breaks.en and cyrillic(path.breaks.ru)), path.id
        assert not path.notes or cyrillic(path.notes.ru) or path.notes.ru.startswith("/"), path.id
        for text in (path.names, path.source, path.destination, path.service, path.default_state):
            assert bool(text.en) == bool(text.ru), path.id


def test_provenance_and_confidence_are_kept():
    assert all(path.provenance for path in all_rows())
    assert {path.confidence for path in all_rows()} == {"high", "medium", "low"}


def test_ports_are_what_is_printed():
    for path in all_rows():
        again = ";".join(dict.fromkeys(str(port) for port in path.ports))
        printed = path.port_text.replace("tcp+udp", "tcp")
        if path.ports and "udp" not in path.port_text:
            assert again == printed, path.id
        assert bool(path.ports) is (path.port_text not in {"none", "local", "configurable"})


def test_roles_are_real_and_every_server_role_is_used():
    used = {role for path in all_rows() for role in path.source_roles + path.destination_roles}
    assert used <= set(BY_ID)
    assert {role.id for role in BY_ID.values() if role.kind is Kind.SERVER} <= used
    for edition, roles in SERVER_ROLES.items():
        if edition == "postern":
            continue
        everything = {role for one in roles for role in effective_roles(edition, (one,))}
        for path in load(edition).paths:
            for role in path.destination_roles + path.source_roles:
                if BY_ID[role].kind is Kind.SERVER and len(path.editions) == 1 and edition not in {"2010", "2019"}:
                    assert role in everything, (path.id, role)


def test_levels_follow_the_words():
    paths = {path.id: path for path in all_rows()}
    assert paths["2010.transport.hub-to-hub"].level is Level.REQUIRED
    assert paths["2010.mailbox.remote-files"].level is Level.OPTIONAL
    assert paths["2010.mailbox.assistants"].level is Level.NONE
    assert paths["2016.clients.owa-redirect"].level is Level.NONE
    imap = paths["2016.clients.imap"]
    assert [(port.first, imap.level_of(port)) for port in imap.ports] == [(143, Level.OPTIONAL), (993, Level.REQUIRED)]
    web = paths["2010.client-access.owa"]
    assert [web.level_of(port) for port in web.ports] == [Level.NONE, Level.REQUIRED]


def test_dynamic_ports_have_the_range_of_who_listens():
    ranges = {
        (port.first, port.last)
        for path in all_rows()
        if "2003-2007" in path.editions
        for port in path.ports
        if port.dynamic
    }
    assert ranges == {(1024, 65535)}
    directory = load("2016")["internal.directory"]
    assert [(port.first, port.last) for port in directory.ports if port.dynamic] == [(49152, 65535)]


@pytest.mark.parametrize("text", ["25", "25/sctp", "70000000/tcp", "25/tcp,26/tcp", "", "tcp/25", "none;25/tcp"])
def test_ports_that_are_none(text):
    with pytest.raises(ValueError, match="is no port"):
        parse_ports(text)


HEAD = (
    "id,editions,section,names,names_ru,source,source_ru,destination,destination_ru,"
    "source_roles,destination_roles,ports,level"
)
GOOD = "2016.a.b,2016,a,n,н,s,с,d,д,outlook,mailbox,25/tcp,none"


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("25/tcp", "25", "line 2: '25' is no port"),
        ("25/tcp", "70000/tcp", "2016.a.b: 70000/tcp"),
        ("25/tcp", "30-20/tcp", "30-20/tcp"),
        (",2016,", ",2017,", "2017"),
        ("outlook", "outlok", "outlok"),
        ("none", "perhaps", "line 2.*perhaps"),
        ("н", "", "one language"),
        ("none", "none,more", "too many cells"),
    ],
)
def test_a_bad_cell_stops_everything_with_its_place(old, new, says):
    parse_csv(f"{HEAD}\n{GOOD}\n", "x.csv")
    with pytest.raises(CatalogueError, match=says):
        parse_csv(f"{HEAD}\n{GOOD.replace(old, new)}\n", "x.csv")


def test_the_files_are_all_there():
    folder = Path(__file__).resolve().parents[3] / "src" / "postern" / "catalogue" / "editions"
    assert {path.name for path in folder.iterdir()} == set(FILES)

from __future__ import annotations

import io
import stat
import subprocess
import tomllib

import pytest
from cryptography import x509

from postern.cli import dns_records, language, quickstart, systemd_unit
from postern.config.loading import load


def test_a_new_organisation(postern, tmp_path, monkeypatch):
    config, data = tmp_path / "etc" / "postern.toml", tmp_path / "state"
    done = postern(
        "quickstart", "admin@example.org", "--config", str(config), "--data", str(data),
        "--address", "192.0.2.7", "--address", "2001:db8::7", "--json",
    )  # fmt: skip
    assert done.status == 0, done.err
    facts = done.json
    assert facts["hostname"] == "mail.example.org" and len(facts["password"]) >= 20
    settings = load(config)
    assert settings.dkim[0].domain == "example.org"
    certificate = x509.load_pem_x509_certificate(settings.certificate.read_bytes())
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert {"mail.example.org", "example.org", "autodiscover.example.org"} <= set(
        names.get_values_for_type(x509.DNSName)
    )
    assert {str(a) for a in names.get_values_for_type(x509.IPAddress)} == {"192.0.2.7", "2001:db8::7"}
    for private in (settings.key, *(data / "dkim").iterdir()):
        assert stat.S_IMODE(private.stat().st_mode) == 0o600
    unit = (config.parent / "postern.service").read_text()
    assert "CAP_NET_BIND_SERVICE" in unit and f"serve --config {config}" in unit
    zone = facts["dns"]["zone"]
    for needle in (
        "mail.example.org.                        3600 IN A     192.0.2.7",
        "IN AAAA  2001:db8::7",
        "IN MX    10 mail.example.org.",
        '"v=spf1 mx -all"',
        "postern._domainkey.example.org.",
        "_dmarc.example.org.",
        "_imaps._tcp.example.org.",
        "_autodiscover._tcp.example.org.          3600 IN SRV   0 0 443 mail.example.org.",
        "autodiscover.example.org.                3600 IN CNAME mail.example.org.",
        "autoconfig.example.org.                  3600 IN CNAME mail.example.org.",
    ):
        assert needle in zone, needle
    assert {row["name"] for row in facts["dns"]["panel"]} >= {"@", "mail", "_dmarc", "postern._domainkey"}
    listed = postern("mailbox", "list", "--json", "--config", str(config)).json
    assert [(row["address"], row["admin"]) for row in listed] == [("admin@example.org", True)]
    again = postern("quickstart", "admin@example.org", "--config", str(config), "--data", str(data))
    assert again.status == 1 and "exists" in again.err


def test_a_bad_address_makes_nothing(postern, tmp_path):
    done = postern("quickstart", "no address", "--config", str(tmp_path / "c.toml"), "--data", str(tmp_path / "d"))
    assert done.status == 1
    assert list(tmp_path.iterdir()) == []


def test_the_text_for_people_has_everything_to_type(postern, tmp_path):
    done = postern("quickstart", "a@example.org", "--config", str(tmp_path / "c.toml"), "--data", str(tmp_path / "d"))
    for word in ("Password", "IN MX", "PTR", "systemctl enable --now postern", "_dmarc"):
        assert word in done.out
    tomllib.loads((tmp_path / "c.toml").read_text())


def test_what_is_typed_lets_the_user_of_the_unit_read_the_settings(postern, tmp_path):
    """Root makes them unreadable to others; the user need not exist yet, and need not be `postern`."""
    config = tmp_path / "my etc" / "c.toml"
    done = postern(
        "quickstart", "a@example.org", "--user", "mailer", "--config", str(config), "--data", str(tmp_path / "d"),
        "--address", "10.1.2.3",
    )  # fmt: skip
    assert f"chgrp mailer '{config}'" in done.out
    assert f"chown -R mailer: {tmp_path / 'd'}" in done.out
    assert " mailer\n" in done.out.partition("useradd")[2]
    assert "10.1.2.3: nobody outside" in done.out, "a private address in public records is worth a word"
    assert "remove" in postern("quickstart", "a@example.org", "--config", str(config)).err


def test_a_domain_of_other_letters_is_shown_as_it_is_written(postern, tmp_path):
    """DNS has A-labels, and nobody can read them."""
    done = postern(
        "quickstart", "админ@пример.рф", "--config", str(tmp_path / "c.toml"), "--data", str(tmp_path / "d"),
        "--address", "192.0.2.7",
    )  # fmt: skip
    assert done.status == 0, done.err
    for shown in (
        "The organisation xn--e1afmkfd.xn--p1ai (пример.рф) is ready",
        "админ@xn--e1afmkfd.xn--p1ai (админ@пример.рф)",
        "must lead to mail.xn--e1afmkfd.xn--p1ai (mail.пример.рф).",
        "(also in xn--e1afmkfd.xn--p1ai.zone beside",
    ):
        assert shown in done.out, shown


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("a@example.org", "a@example.org"),
        ("xn--bcher-kva.example", "xn--bcher-kva.example (bücher.example)"),
        ("xn--zz", "xn--zz"),
        ("xn--e1afmkfd.example", "xn--e1afmkfd.example"),  # the terminal has no such letters
    ],
)
def test_letters_that_the_terminal_has(monkeypatch, name, shown):
    monkeypatch.setattr("sys.stdout", io.TextIOWrapper(io.BytesIO(), "iso-8859-1"))
    assert quickstart.with_unicode(name) == shown


def test_mistakes_are_explained_in_russian(postern, tmp_path):
    for words, needle in (
        (["admin"], "это не адрес"),
        (["admin@a b.org"], "это не адрес"),
        (["a@example.org", "--hostname", "a b"], "--hostname"),
        (["a@example.org", "--address", "999.1.1.1"], "не IP-адрес"),
    ):
        done = postern("--lang", "ru", "quickstart", *words, "--config", str(tmp_path / "c"), "--data", str(tmp_path))
        assert (done.status, needle in done.err) == (1, True), done.err
    language.use("en")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("path", "word"),
    [
        ("/etc/postern/postern.toml", "/etc/postern/postern.toml"),
        ("/srv/Почта и прочее/c.toml", '"/srv/Почта и прочее/c.toml"'),
        ('/srv/100% "a"\\$b', '"/srv/100%% \\"a\\"\\\\$$b"'),
    ],
)
def test_paths_in_the_unit(path, word):
    assert systemd_unit.quoted(path, command=True) == word


def test_systemd_accepts_the_unit(tmp_path):
    place = tmp_path / "Почта и прочее"
    place.mkdir()
    unit = place / "postern.service"
    unit.write_text(systemd_unit.render(place / "postern.toml", place / "данные", "root"))
    checked = subprocess.run(["systemd-analyze", "verify", str(unit)], capture_output=True, text=True, check=False)
    assert (checked.returncode, [line for line in checked.stderr.splitlines() if str(unit) in line]) == (0, [])


def test_long_texts_are_split_in_a_zone():
    record = dns_records.Record("a.example", "TXT", "x" * 600)
    assert dns_records.zone([record]).count('"') == 6


def test_names_outside_the_domain_are_absolute_in_a_panel():
    rows = dns_records.panel([dns_records.Record("mail.host.example", "A", "192.0.2.1")], "example.org")
    assert rows[0]["name"] == "mail.host.example."

from __future__ import annotations

import stat
import tomllib

from cryptography import x509

from postern.cli import dns_records
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


def test_long_texts_are_split_in_a_zone():
    record = dns_records.Record("a.example", "TXT", "x" * 600)
    assert dns_records.zone([record]).count('"') == 6


def test_names_outside_the_domain_are_absolute_in_a_panel():
    rows = dns_records.panel([dns_records.Record("mail.host.example", "A", "192.0.2.1")], "example.org")
    assert rows[0]["name"] == "mail.host.example."

"""`postern cert` on a data directory without a server; openssl plays the authority."""

from __future__ import annotations

import subprocess

import pytest

from postern.formats import issuing
from postern.formats.certificate import facts, read


@pytest.fixture
def cert(postern, tmp_path, monkeypatch):
    (tmp_path / "postern.toml").write_text(
        '[server]\ndata = "data"\nhostname = "mail.example.org"\n[network]\naddresses = ["127.0.0.1"]\n'
        "[listen.submissions]\nenabled = false\n[listen.imaps]\nenabled = false\n[listen.pop3s]\nenabled = false\n"
        "[listen.ldap]\nenabled = false\n[listen.ldaps]\nenabled = false\n"  # other tests' servers may be there
    )
    monkeypatch.setenv("POSTERN_CONFIG", str(tmp_path / "postern.toml"))
    (tmp_path / "data").mkdir()
    return lambda *words: postern("cert", *words)


def openssl(*words: object) -> str:
    return subprocess.run(["openssl", *map(str, words)], check=True, capture_output=True, text=True).stdout


def test_self_signed_list_show_check(cert, tmp_path):
    assert cert("check", "--json").status == 1, "there is none yet"
    made = cert("self-signed", "--name", "mail.example.org", "--address", "192.0.2.1", "--json").json
    listed = cert("list", "--json").json
    assert [(one["use"], one["state"]) for one in listed] == [("listeners", "valid")]
    assert listed[0]["names"] == ["mail.example.org"] and listed[0]["self_signed"]
    shown = cert("show", "--json").json
    assert shown["pin"] == made["pin"] and shown["tlsa"] == f"3 1 1 {made['pin']}"
    assert cert("check").status == 0
    assert cert("show", str(tmp_path / "data/tls/certificate.pem"), "--json").json["pin"] == made["pin"]
    again = cert("renew", "--force", "--json").json
    assert again["names"] == ["mail.example.org"] and again["fingerprint"] != made["fingerprint"]
    assert cert("renew", "--json").json == {"renewed": False}


def test_request_and_import_from_an_authority(cert, tmp_path):
    csr, ca, ca_key, answer = (tmp_path / name for name in ("a.csr", "ca.pem", "ca.key", "answer.pem"))
    assert cert("request", "--name", "mail.example.org", "--name", "почта.example.org", "--out", str(csr)).status == 0
    openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=CA",
            "-keyout", ca_key, "-out", ca, "-days", "30")  # fmt: skip
    openssl("x509", "-req", "-in", csr, "-CA", ca, "-CAkey", ca_key, "-days", "20", "-copy_extensions", "copy",
            "-out", answer)  # fmt: skip
    assert cert("import", str(ca)).status == 1, "that is another key's"
    done = cert("import", str(answer), "--json")
    assert done.status == 0, done.err
    assert done.json["names"] == ["mail.example.org", "xn--80a1acny.example.org"]
    states = {one["use"]: one["state"] for one in cert("list", "--json").json}
    assert states == {"listeners": "expires_soon"}
    wrong = cert("renew", "--force")
    assert wrong.status == 1 and "postern cert request" in wrong.err


def test_a_pfx_file_as_exchange_exports_it(cert, tmp_path):
    openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=mail.example.org", "-keyout",
            tmp_path / "k", "-out", tmp_path / "c", "-days", "90")  # fmt: skip
    openssl("pkcs12", "-export", "-inkey", tmp_path / "k", "-in", tmp_path / "c", "-passout", "pass:geheim",
            "-out", tmp_path / "m.pfx")  # fmt: skip
    (tmp_path / "wrong").write_text("falsch\n")
    (tmp_path / "right").write_text("geheim\n")
    assert cert("import", str(tmp_path / "m.pfx"), "--password-file", str(tmp_path / "wrong")).status == 1
    done = cert("import", str(tmp_path / "m.pfx"), "--password-file", str(tmp_path / "right"), "--json")
    assert done.status == 0, done.err
    assert facts(read((tmp_path / "data/tls/certificate.pem").read_bytes())[0]).key == "RSA 2048"


def test_what_cannot_be_imported_changes_nothing(cert, tmp_path):
    cert("self-signed")
    before = (tmp_path / "data/tls/certificate.pem").read_bytes()
    openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=x", "-keyout", tmp_path / "k", "-out",
            tmp_path / "c", "-days", "9", "-addext", "extendedKeyUsage=codeSigning")  # fmt: skip
    said = cert("import", str(tmp_path / "c"), "--key", str(tmp_path / "k"))
    assert said.status == 1 and "code signing" in said.err
    (tmp_path / "nonsense").write_bytes(b"\x00" * 100)
    assert cert("import", str(tmp_path / "nonsense")).status == 1
    assert cert("import", str(tmp_path / "missing")).status == 1
    assert (tmp_path / "data/tls/certificate.pem").read_bytes() == before


def test_the_organisations_authority(cert, tmp_path):
    cert("self-signed")
    key = issuing.new_key()
    (tmp_path / "hub2.csr").write_bytes(issuing.request(["hub2.example.org"], [], key))
    issued = cert("issue", "--request", str(tmp_path / "hub2.csr"), "--out", str(tmp_path / "hub2.pem"), "--json").json
    openssl("verify", "-CAfile", issued["authority"], tmp_path / "hub2.pem")
    whole = cert("issue", "--name", "hub3.example.org", "--json").json
    assert whole["key"].startswith("-----BEGIN PRIVATE KEY")
    uses = [one["use"] for one in cert("list", "--json").json]
    assert uses == ["listeners", "authority", "issued", "issued"]
    assert cert("check").status == 0


def test_files_of_another_program_are_left_alone(cert, tmp_path):
    config = tmp_path / "postern.toml"
    config.write_text(config.read_text() + '[tls]\ncertificate = "le.pem"\nkey = "le.key"\n')
    said = cert("self-signed")
    assert said.status == 1 and "another program keeps" in said.err

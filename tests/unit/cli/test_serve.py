from __future__ import annotations

import pytest

from postern.cli import serve
from postern.config.settings import Settings


def test_missing_privileges_are_told_with_ways_out(monkeypatch, capsys):
    monkeypatch.setattr(serve, "may_bind_low_ports", lambda: False)
    monkeypatch.setattr(serve, "first_free_port", lambda: 1024)
    with pytest.raises(SystemExit) as ended:
        serve.check_privileges(Settings())
    assert ended.value.code == 77
    text = capsys.readouterr().err
    for word in (
        "25, 80, 110, 143, 443, 465, 587, 636, 993, 995",
        "setcap",
        "systemctl",
        "ip_unprivileged_port_start=25",
        "CAP_NET_BIND",
    ):
        assert word in text


def test_no_privilege_is_needed_above_the_limit(monkeypatch):
    monkeypatch.setattr(serve, "may_bind_low_ports", lambda: False)
    monkeypatch.setattr(serve, "first_free_port", lambda: 25)
    serve.check_privileges(Settings())


@pytest.mark.parametrize(
    ("capabilities", "may"), [("0000000000000400", True), ("000001ffffffffff", True), ("0000000000000000", False)]
)
def test_the_privilege_is_read_from_the_process(tmp_path, capabilities, may):
    status = tmp_path / "status"
    status.write_text(f"Name:\tx\nCapEff:\t{capabilities}\n")
    assert serve.may_bind_low_ports(status) is may


def test_serve_without_an_organisation(postern, tmp_path):
    none = postern("serve", "--config", str(tmp_path / "none.toml"))
    assert none.status == 78 and "quickstart" in none.err
    (tmp_path / "postern.toml").write_text('[server]\ndata = "state"\n')
    empty = postern("serve", "--config", str(tmp_path / "postern.toml"))
    assert empty.status == 78 and "no organisation" in empty.err


def test_serve_with_a_bad_file_names_the_line(postern, tmp_path):
    (tmp_path / "postern.toml").write_text("[smtp]\nmax_recipients = 1\n")
    bad = postern("serve", "--config", str(tmp_path / "postern.toml"))
    assert bad.status == 78 and "postern.toml:2: smtp.max_recipients" in bad.err

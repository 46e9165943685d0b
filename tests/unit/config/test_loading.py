from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postern.config.listeners import listeners
from postern.config.loading import SettingsError, load, parse
from postern.config.reference import render
from postern.config.settings import Settings
from postern.model.places import line_of


def test_an_empty_file_is_all_defaults():
    assert parse("") == Settings()


@pytest.mark.parametrize(
    ("text", "line", "key", "says"),
    [
        ("[smtp]\nmax_recipients = 5\n", 2, "smtp.max_recipients", "from 100"),
        ("[smtp]\n\nfoo = 1\n", 3, "smtp.foo", "max_recipients"),
        ("[nonsense]\nfoo = 1\n", 1, "nonsense", "receive_connector"),
        ('[listen.imap]\n# comment\nport = "x"\n', 3, "listen.imap.port", "integer from 0 to 65535"),
        ("[listen.imap]\nport = 1\n[listen.pop3]\nport = 70000\n", 4, "listen.pop3.port", "65535"),
        ("listen.imap.port = -1\n", 1, "listen.imap.port", "from 0"),
        ('[server]\nlanguage = "de"\n', 2, "server.language", '"en" or "ru"'),
        (
            '[[dkim]]\ndomain = "a"\nselector = "b"\nkey = "c"\n[[dkim]]\ndomain = "a"\n',
            5,
            "dkim[1].selector",
            "must be set",
        ),
        ("[listen.foo]\n", 1, "listen.foo", "submissions"),
        ('[listen.metrics]\nmechanisms = ["PLAIN"]\n', 2, "listen.metrics.mechanisms", "not supported"),
        ('[network]\naddresses = ["x"]\n', 2, "network.addresses", "IP address"),
        (
            '[[receive_connector]]\nname = "x"\nremote = ["10.0.0.1/8"]\n',
            3,
            "receive_connector[0].remote",
            "192.0.2.0/24",
        ),
        (
            '[[receive_connector]]\nname = "x"\nanonymous_relay = true\n',
            3,
            "receive_connector[0].anonymous_relay",
            "open relay",
        ),
        ("[store]\nwarn_bytes = 10\nno_send_bytes = 5\n", 2, "store.warn_bytes", "no_send_bytes"),
        ("smtp = 1\n", 1, "smtp", "a table"),
    ],
)
def test_a_bad_value_is_named_with_line_key_and_what_is_allowed(text, line, key, says):
    with pytest.raises(SettingsError) as caught:
        parse(text, "a.toml")
    assert (caught.value.line, caught.value.key) == (line, key)
    assert str(caught.value).startswith(f"a.toml:{line}: {key}: ")
    assert says in str(caught.value)


@pytest.mark.parametrize(
    ("text", "line"), [("[smtp\n", 1), ("a = 1\nb = = 2\n", 2), ("x = ", 1), ("a = 1\na = 2\n", 2)]
)
def test_a_file_that_is_not_toml(text, line):
    with pytest.raises(SettingsError) as caught:
        parse(text, "a.toml")
    assert caught.value.line == line and "not TOML" in str(caught.value)


def test_a_missing_file_says_how_to_make_one(tmp_path):
    with pytest.raises(SettingsError, match="quickstart"):
        load(tmp_path / "none.toml")


def test_paths_are_relative_to_the_file(tmp_path):
    (tmp_path / "postern.toml").write_text(
        '[server]\ndata = "state"\n[[dkim]]\ndomain="a"\nselector="b"\nkey="/k.pem"\n'
    )
    settings = load(tmp_path / "postern.toml")
    assert settings.data_dir == tmp_path / "state"
    assert settings.certificate == tmp_path / "state" / "tls" / "certificate.pem"
    assert settings.dkim[0].key == "/k.pem"


def test_listeners_follow_the_catalogue_and_the_file():
    settings = parse(
        '[network]\naddresses=["192.0.2.1"]\n[listen.pop3]\nenabled=false\n[listen.imap]\nport=1143\naddresses=["127.0.0.1"]\n'
    )
    opened = {one.path.id: (one.addresses, one.port) for one in listeners(settings)}
    assert "pop3" not in opened
    assert opened["imap"] == (("127.0.0.1",), 1143)
    assert opened["smtp"] == (("192.0.2.1",), 25)
    assert opened["metrics"] == (("127.0.0.1",), 9925)


def test_metrics_never_leave_the_machine():
    opened = listeners(parse('[listen.metrics]\naddresses = ["0.0.0.0"]\n'))
    assert next(one for one in opened if one.path.id == "metrics").addresses == ("127.0.0.1",)


def test_listeners_of_a_role():
    assert {one.path.id for one in listeners(Settings(), frozenset({"transport"}))} == {
        "smtp",
        "submission",
        "submissions",
    }


def test_every_key_is_described():
    for row in render().splitlines():
        if row.startswith("| `"):
            assert row.endswith(") |"), row


def test_the_reference_in_the_docs_is_up_to_date():
    document = Path(__file__).parents[3] / "docs" / "settings.md"
    assert document.read_text("utf-8") == render(), "run: postern settings --reference > docs/settings.md"


@given(st.text(max_size=200))
def test_any_text_is_settings_or_a_settings_error(text):
    try:
        parse(text)
    except SettingsError as problem:
        assert problem.line is None or 1 <= problem.line <= text.count("\n") + 1


@given(st.text(alphabet="[]=ab.\"'#\n 0", max_size=80), st.text(alphabet="ab.[0]", max_size=12))
def test_looking_for_a_line_never_fails(text, key):
    line = line_of(text, key)
    assert line is None or 1 <= line <= len(text.splitlines())


def test_mail_offers_ntlm_where_most_users_have_it():
    """Some mail programs try nothing else where it is offered, and few accounts have an NT hash."""

    def offered(text):
        return {one.path.id: set(one.mechanisms) for one in listeners(parse(text))}

    some = offered("[ntlm]\naccounts = true\n")
    assert "NTLM" in some["https"]
    assert not some["submission"] & {"NTLM", "GSS-SPNEGO"}
    assert {"NTLM", "GSS-SPNEGO"} <= offered('[ntlm]\nwinbind = true\ndomain = "CORP"\n')["submission"]
    named = offered('[ntlm]\naccounts = true\n[listen.submission]\nmechanisms = ["PLAIN", "NTLM"]\n')
    assert named["submission"] == {"PLAIN", "NTLM"}

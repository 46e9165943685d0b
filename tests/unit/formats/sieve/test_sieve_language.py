"""Sieve: what is told about wrong scripts, limits, and that every run ends."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from postern.formats.mime.scan import scan
from postern.formats.sieve.checker import compile_script
from postern.formats.sieve.evaluator import evaluate
from postern.formats.sieve.matching import Match, compare, glob
from postern.formats.sieve.message import Message, plain
from postern.formats.sieve.syntax import LIMITS, SieveError
from postern.model.actions import Redirect, Store
from postern.model.items import SpecialUse

CONTENT = b"From: a@example.org\r\nTo: b@example.org\r\nSubject: hello world\r\nMessage-ID: <1@x>\r\n\r\nBody\r\n"
ALL = (
    'require ["fileinto","imap4flags","variables","copy","envelope","subaddress","body","date","index","mailbox",'
    '"editheader","vacation","encoded-character","duplicate","special-use","include","relational",'
    '"comparator-i;ascii-numeric"];\n'
)


class Around:
    now = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
    reverse_path = "a@example.org"
    recipient = "b+x@example.org"

    def __init__(self, scripts=()):
        self.scripts = dict(scripts)

    def folder_exists(self, name):
        return name == "there"

    def special_use_exists(self, use, name):
        return use is SpecialUse.JUNK and name in (None, "Spam")

    def script(self, name):
        return compile_script(self.scripts[name].encode()) if name in self.scripts else None

    def seen(self, name):
        return False


def run(script, content=CONTENT, **scripts):
    scanned = scan(content)
    message = Message(content, scanned.parts, scanned.header_end)
    return evaluate(compile_script(script.encode()), message, Around(scripts))


def places(decision):
    return [action.target.name for action in decision.actions if isinstance(action, Store)]


def problems(script):
    with pytest.raises(SieveError) as caught:
        compile_script(script if isinstance(script, bytes) else script.encode())
    return [str(problem) for problem in caught.value.problems]


@pytest.mark.parametrize(
    ("script", "said"),
    [
        ("keep;\n  frob;", "line 2, column 3: unknown command `frob`"),
        ('fileinto "x";', 'line 1, column 1: `fileinto` needs require "fileinto"'),
        ("if true { keep;", "line 1, column 9: the block that begins here does not end"),
        ('redirect "a', "line 1, column 10: the string that begins here does not end"),
        ("keep", "line 1, column 5: `;` or a block is expected here, not the end of the script"),
        ('if header "a" { keep; }', "line 1, column 4: `header` takes a string or list of strings and"),
        ('require "frob";', "line 1, column 9: unsupported extension 'frob'"),
        ("/* x", "line 1, column 1: the comment that begins here does not end"),
        (b'keep;\nredirect "\xff";', "line 2, column 11: this is not UTF-8"),
        (b"keep;\0", "line 1, column 6: a NUL character"),
        ("if size :over 99999999999999999999 { stop; }", "the number is too large"),
        ('require "variables"; set "9" "x";', "'9' is not the name of a variable"),
        ('require "include"; include "a/b";', "'a/b' is not the name of a script"),
    ],
)
def test_problems_say_where(script, said):
    assert said in problems(script)[0]


def test_all_problems_are_told_up_to_a_limit():
    assert len(problems("frob;\nfrab;\nif frub { }")) == 3
    assert len(problems("frob;\n" * 100)) == LIMITS.problems


def test_nesting_a_thousand_deep():
    for text in ("if true {" * 1000 + "}" * 1000, "if " + "not " * 1000 + "true {}", "if " + "allof(" * 1000):
        assert "nested deeper than 32 levels" in problems(text)[0]


def test_size_is_limited():
    assert "a script may have" in problems("#" * (LIMITS.script_bytes + 1))[0]
    assert "commands" in problems("keep;" * (LIMITS.commands + 1))[0]


def test_variables_are_limited():
    doubling = ALL + 'set "a" "0123456789";' + 'set "a" "${a}${a}${a}${a}";' * 50 + 'fileinto "x";'
    assert places(run(doubling)) == ["x"]
    many = ALL + "".join(f'set "v{number}" "x";' for number in range(LIMITS.variables + 1))
    assert "variables" in run(many).problem


def test_redirects_and_actions_are_limited():
    many = "".join(f'redirect "u{number}@example.org";' for number in range(LIMITS.redirects + 1))
    decision = run(many)
    assert "redirects" in decision.problem
    assert decision.actions == (Store(),), "a script that fails has done nothing"
    assert "actions" in run(ALL + "".join(f'fileinto "{number}";' for number in range(40))).problem


def test_patterns_that_would_backtrack_end():
    key = "*a" * 200 + "*b"
    assert glob("a" * 100_000, key, folded=True) is None
    heavy = ALL + f'if header :matches "subject" "{key}" {{ stop; }}' * 300
    content = b"Subject: " + b"a" * 60_000 + b"\r\n\r\n"
    assert "too long" in run(heavy, content).problem


def test_includes():
    assert places(
        run(ALL + 'include "a"; fileinto "z";', a='require ["fileinto","include"]; fileinto "a"; return; keep;')
    ) == [
        "a",
        "z",
    ]
    assert "includes itself" in run(ALL + 'include "a";', a='require "include"; include "a";').problem
    assert "no script" in run(ALL + 'include "a";').problem
    assert places(run(ALL + 'include :optional "a";')) == ["INBOX"]
    assert places(
        run(
            ALL + 'include :once "a"; include :once "a";',
            a='require ["fileinto"]; fileinto :flags "x" "a";'.replace(':flags "x" ', ""),
        )
    ) == ["a"]
    shared = ALL + 'global "x"; set "x" "1"; include "a"; fileinto "${x}-${y}-${global.y}";'
    inner = 'require ["include","variables"]; global ["x","y"]; set "y" "${x}2"; set "x" "3";'
    assert places(run(shared, a=inner)) == ["3--12"]
    chain = {f"s{n}": f'require "include"; include "s{n + 1}";' for n in range(20)}
    assert "include each other" in run(ALL + 'include "s0";', **chain).problem
    assert "not valid" in run(ALL + 'include "a";', a="frob;").problem


def test_special_use_and_mailboxes():
    assert places(run(ALL + 'if specialuse_exists "Spam" "\\\\Junk" { fileinto :specialuse "\\\\Junk" "Spam"; }')) == [
        "Spam"
    ]
    assert places(run(ALL + 'if not specialuse_exists "\\\\Sent" { discard; }')) == []
    assert places(run(ALL + 'if mailboxexists ["there","x"] { discard; }')) == ["INBOX"]


def test_edits_belong_to_the_actions_after_them():
    decision = run(
        ALL + 'fileinto "before"; addheader :last "X-A" "1"; deleteheader "subject"; redirect "c@d.example";'
    )
    store, redirect = decision.actions
    assert store.header is None
    assert redirect == Redirect("c@d.example", redirect.header)
    assert redirect.header.endswith(b"\r\nX-A: 1\r\n\r\n")
    assert b"Subject" not in redirect.header


def test_fields_that_are_not_looked_at_stay_when_a_header_is_edited():
    content = b"Subject: a\r\n" + b"X-Many: 1\r\n" * 6000 + b"X-Last: 2\r\n\r\nbody"
    found = scan(content)
    message = Message(content, found.parts, content.index(b"\r\n\r\n") + 4)
    message.delete("subject", [True])
    assert message.edited_header() == b"X-Many: 1\r\n" * 6000 + b"X-Last: 2\r\n\r\n"


def test_a_header_cannot_be_smuggled_in():
    decision = run(ALL + 'addheader "X-A" "1\r\nBcc: x@y.example\r\n\r\nbody"; keep;')
    (store,) = decision.actions
    assert store.header.count(b"\r\n\r\n") == 1
    assert b"\r\nBcc" not in store.header


def test_numbers_of_any_length():
    match = Match("value", "i;ascii-numeric", "gt")
    assert compare(match, "1" + "0" * 100_000, "9" * 99_999) == ()
    assert compare(match, "007", "7") is None
    assert compare(match, "x", "9" * 1000) == (), "what is no number is beyond all of them"


def test_markup_is_taken_out_in_linear_time():
    assert plain("<style>a</style><p>one</p><br>two &amp; three").split() == ["one", "two", "&", "three"]
    assert plain("<" * 100_000)
    assert plain("<script" * 20_000) is not None


WORDS = [
    "require",
    "if",
    "elsif",
    "else",
    "keep",
    "discard",
    "stop",
    "fileinto",
    "redirect",
    "set",
    "not",
    "anyof",
    "allof",
    "header",
    "address",
    "true",
    "false",
    "size",
    ":over",
    ":is",
    ":matches",
    ":contains",
    ":comparator",
    ":flags",
    "exists",
    "body",
    "vacation",
    "include",
    "addheader",
    "deleteheader",
    "{",
    "}",
    "(",
    ")",
    "[",
    "]",
    ",",
    ";",
    '"a"',
    '"${x}"',
    '"*?*"',
    '"subject"',
    '"a@b.example"',
    "10K",
    "text:\nx\n.\n",
    "#c\n",
    "/* */",
    ALL,
]


@settings(max_examples=300, suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(st.lists(st.sampled_from(WORDS), max_size=40).map(" ".join) | st.text(max_size=200))
def test_the_parser_never_crashes_and_runs_end(text):
    try:
        program = compile_script(text.encode("utf-8", "surrogatepass"))
    except SieveError as wrong:
        assert wrong.problems
        assert all(problem.line >= 1 and problem.column >= 1 for problem in wrong.problems)
        return
    scanned = scan(CONTENT)
    evaluate(program, Message(CONTENT, scanned.parts, scanned.header_end), Around())


TEST = st.recursive(
    st.sampled_from(
        [
            "true",
            "false",
            'header :matches "subject" "*l*"',
            'exists "to"',
            "size :over 10",
            'hasflag "x"',
            'string "${1}" "he"',
            'body :contains "Body"',
            'currentdate :value "ge" "hour" "12"',
            'address :detail "to" "x"',
            'envelope :domain "from" "example.org"',
            "duplicate",
        ]
    ),
    lambda inner: (
        inner.map("not {}".format) | st.lists(inner, min_size=1, max_size=3).map(", ".join).map("anyof ({})".format)
    ),
    max_leaves=6,
)
COMMAND = st.recursive(
    st.sampled_from(
        [
            "keep;",
            "discard;",
            "stop;",
            'fileinto "a";',
            'fileinto :copy :flags "x" "b";',
            'redirect "c@d.example";',
            'set "v" "${1}${v}x";',
            'addflag "y";',
            'addheader "X" "${v}";',
            'deleteheader "subject";',
            'vacation "away";',
            'include "other";',
            "return;",
        ]
    ),
    lambda inner: st.tuples(TEST, st.lists(inner, max_size=3).map("".join), inner).map(
        lambda parts: "if {} {{ {} }} else {{ {} }}".format(*parts)
    ),
    max_leaves=8,
)


@settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(st.lists(COMMAND, max_size=8).map("".join), st.binary(max_size=300))
def test_every_valid_script_decides_about_any_message(script, content):
    decision = run(ALL + script, content, other=ALL + 'include :optional "other2"; set "v" "1"; fileinto "o";')
    assert len(decision.actions) <= LIMITS.actions
    if decision.problem:
        assert decision.actions == (Store(),)


@given(st.text("ab*?\\x", max_size=8), st.text("abx", max_size=8))
def test_glob_is_what_a_backtracking_matcher_says(pattern, value):
    import re

    expression = re.sub(
        r"\\\\(.)|\\(\*)|\\(\?)|(\\\\)",
        lambda m: m.group(0),
        "".join(
            {"*": "(.*?)", "?": "(.)"}.get(token, re.escape(token[-1] if len(token) == 2 else token))
            for token in re.findall(r"\\.|.", pattern)
        ),
    )
    found = re.fullmatch(expression, value)
    expected = None if found is None else (value, *found.groups())
    assert glob(value, pattern, folded=False) == expected

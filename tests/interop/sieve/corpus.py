"""Scripts and messages that ours and Pigeonhole's engine are both asked about."""

from __future__ import annotations

MESSAGES: dict[str, str] = {
    "plain": """From: Bob Builder <bob@example.net>
To: "Anna, M." <anna+lists@example.org>, carol@example.org
Cc: dave@Example.COM
Subject: =?utf-8?q?Gr=C3=BC=C3=9Fe?= [Postern] release 1.10
Date: Mon, 23 Nov 2026 23:12:34 +0300
Message-ID: <one@example.net>
X-Priority: 3
X-Numbers: 42 apples
X-Many: a
X-Many: b
X-Many: c

Hello Anna,
the release is out.
""",
    "mime": """From: news@lists.example.net
Sender: owner-news@lists.example.net
To: anna@example.org
Subject: two parts
Date: Tue, 24 Nov 2026 08:00:00 +0000
Message-ID: <two@example.net>
List-Id: News <news.example.net>
MIME-Version: 1.0
Content-Type: multipart/alternative; boundary="b"

--b
Content-Type: text/plain; charset=utf-8
Content-Transfer-Encoding: base64

R3LDvMOfZSB3b3JsZAo=
--b
Content-Type: text/html; charset=us-ascii

<html><body><p>Only <b>mark</b>up here</p></body></html>
--b--
""",
    "odd": """From: nobody
To: undisclosed-recipients:;
Subject:   spaces   around \

Date: nonsense
Message-ID: <three@example.net>
Received: from a by b; Wed, 25 Nov 2026 10:00:00 +0100

""",
}

_ALL = (
    'require ["fileinto","imap4flags","variables","copy","relational","comparator-i;ascii-numeric","envelope",'
    '"subaddress","body","date","index","mailbox","editheader","vacation","reject","encoded-character","duplicate",'
    '"special-use"];\n'
)


def all_of_them(tests: list[str]) -> str:
    """One script whose flags say which tests hold."""
    return _ALL + "".join(f'if {test} {{ addflag "t{number:02}"; }}\n' for number, test in enumerate(tests)) + "keep;"


_TESTS = [
    # header
    'header :is "subject" "two parts"',
    'header "SUBJECT" "TWO PARTS"',
    'header :contains "subject" "grüße"',
    'header :contains "subject" "GRÜSSE"',
    'header :matches "subject" "*[*]*"',
    'header :matches "subject" "two ?arts"',
    'header :matches "subject" "*s"',
    'header :matches "subject" "*"',
    'header :matches "subject" "\\\\*"',
    'header :matches "subject" "spaces*around"',
    'header :is "subject" "spaces   around"',
    'header :is "x-many" "b"',
    'header :count "eq" :comparator "i;ascii-numeric" "x-many" "3"',
    'header :count "gt" :comparator "i;ascii-numeric" ["x-many","subject"] "3"',
    'header :value "ge" :comparator "i;ascii-numeric" "x-numbers" "42"',
    'header :value "lt" :comparator "i;ascii-numeric" "x-priority" "4"',
    'header :value "gt" "subject" "a"',
    'header :comparator "i;octet" :is "subject" "Two parts"',
    'header :comparator "i;octet" :contains "subject" "parts"',
    'header :comparator "i;ascii-numeric" :is "x-numbers" "42"',
    'header :comparator "i;ascii-numeric" :is "subject" "none"',
    'header :index 2 "x-many" "b"',
    'header :index 1 :last "x-many" "c"',
    'header :index 9 "x-many" "c"',
    'header :is "x-missing" ""',
    'header :contains "x-missing" ""',
    'header :contains "subject" ""',
    'header :contains ["to","cc"] "example"',
    # address
    'address :is "from" "bob@example.net"',
    'address :all :is "to" "anna+lists@example.org"',
    'address :domain :is ["to","cc"] "example.com"',
    'address :localpart :is "to" "carol"',
    'address :user :is "to" "anna"',
    'address :detail :is "to" "lists"',
    'address :detail :is "to" ""',
    'address :matches :domain "from" "*.example.net"',
    'address :count "eq" :comparator "i;ascii-numeric" ["to","cc"] "3"',
    'address :index 1 :contains "to" "anna"',
    'address "sender" "owner-news@lists.example.net"',
    'address :is "from" "nobody"',
    # envelope
    'envelope "from" "bob@example.net"',
    'envelope :domain "to" "example.org"',
    'envelope :localpart :contains "from" "o"',
    'envelope :user "to" "anna"',
    # exists, size
    'exists ["from","subject"]',
    'exists ["from","x-missing"]',
    'exists "list-id"',
    "size :over 100",
    "size :under 1K",
    "size :over 1M",
    # logic
    "allof (true, not false)",
    "anyof (false, false)",
    "not anyof (false, true)",
    'anyof (exists "x-missing", allof (exists "from", not header :contains "subject" "zzz"))',
    # body
    'body :contains "release"',
    'body :contains "GRÜSSE"',
    'body :contains "grüße"',
    'body :text :contains "<b>"',
    'body :raw :contains "R3LDvMOf"',
    'body :raw :contains "Content-Type"',
    'body :content "text/html" :contains "<b>mark"',
    'body :content "text" :contains "world"',
    'body :content "text/plain" :contains "mark"',
    'body :content ["image","audio"] :contains ""',
    'body :contains "nothing of the kind"',
    # date
    'date :originalzone "date" "hour" "23"',
    'date :zone "+0000" "date" "hour" "20"',
    'date :zone "+0000" "date" "date" "2026-11-23"',
    'date :originalzone "date" "weekday" "1"',
    'date :originalzone "date" "zone" "+0300"',
    'date :originalzone "date" "julian" "61367"',
    'date :originalzone "date" "iso8601" "2026-11-23T23:12:34+03:00"',
    'date :originalzone "date" "std11" "Mon, 23 Nov 2026 23:12:34 +0300"',
    'date :originalzone "date" "time" "23:12:34"',
    'date :value "ge" :originalzone "date" "year" "2026"',
    'date :zone "+0100" "received" "hour" "10"',
    'date "x-missing" "hour" "10"',
    'currentdate :value "ge" "year" "2026"',
    'currentdate :value "lt" "date" "2020-01-01"',
    # variables, flags
    'string :count "eq" :comparator "i;ascii-numeric" ["a","","b"] "2"',
    'string :is "${unknown}" ""',
    'hasflag "\\\\Seen"',
    'header :contains "subject" "${hex:5b}Postern${hex: 5D}"',
    'header :contains "subject" "${unicode: fc}"',
    'mailboxexists "INBOX"',
    'mailboxexists "nowhere"',
]

SCRIPTS: dict[str, str] = {
    "all tests": all_of_them(_TESTS),
    "nothing": "",
    "keep": "keep;",
    "discard": "discard;",
    "stop": _ALL + 'fileinto "a"; stop; fileinto "b";',
    "two folders": _ALL + 'fileinto "a"; fileinto "b"; fileinto "a";',
    "copy": _ALL + 'fileinto :copy "a";',
    "redirect": 'redirect "x@example.net";',
    "redirect copy": _ALL + 'redirect :copy "x@example.net"; redirect :copy "X@example.net";',
    "keep and discard": "keep; discard;",
    "flags": _ALL + 'addflag "\\\\Seen"; addflag ["work","\\\\seen"]; fileinto "a"; removeflag "work"; keep;',
    "flags tag": _ALL + 'fileinto :flags ["\\\\Flagged","x y"] "a";',
    "flag variables": _ALL + 'setflag "f" "\\\\Seen"; addflag "f" "b"; fileinto :flags "${f}" "a";',
    "hasflag": _ALL + 'setflag "a b"; if hasflag :contains "B" { fileinto "yes"; }',
    "hasflag counted": _ALL
    + 'setflag "a b c"; if hasflag :count "ge" :comparator "i;ascii-numeric" "2" { fileinto "yes"; }',
    "variables": _ALL
    + 'set "a" "one"; set :upper "b" "${a} ${A}"; set :length "n" "${b}"; set :quotewildcard "q" "a*b";'
    'fileinto "${b}-${n}-${q}-${none}";',
    "modifiers": _ALL + 'set :lower :upperfirst "x" "jOHN"; fileinto "${x}";',
    "match variables": _ALL + 'if header :matches "subject" "*[*] * ?.*" { fileinto "${2}-${3}-${4}-${5}"; }',
    "match variables of not": _ALL + 'if not header :matches "subject" "*x*y*z*" { fileinto "no"; }',
    "match shortest": _ALL + 'set "s" "abcabcabc"; if string :matches "${s}" "*b*c" { fileinto "${1}-${2}"; }',
    "match all": _ALL + 'if header :matches "from" "*" { set "x" "${0}"; fileinto "got"; }',
    "elsif": 'require "fileinto"; if false { fileinto "a"; } elsif true { fileinto "b"; } else { fileinto "c"; }',
    "nested if": 'require "fileinto"; if true { if false { discard; } else { fileinto "x"; } } elsif true { stop; }',
    "multi-line": _ALL + 'if string :is text:\na\n..b\n.\n "a\r\n.b\r\n" { fileinto "yes"; }',
    "comments": '/* a */ require "fileinto"; # b\nfileinto /* c */ "x" ;',
    "vacation": _ALL + 'vacation :days 2 :subject "S" "Reason";',
    "vacation handle": _ALL + 'vacation :handle "h" :addresses ["a@example.org"] "Reason";',
    "vacation and file": _ALL + 'vacation "Reason"; fileinto "a";',
    "reject": _ALL + 'reject "no";',
    "reject and keep": _ALL + 'reject "no"; keep;',
    "addheader": _ALL + 'addheader "X-New" "v"; if header "x-new" "v" { fileinto "yes"; }',
    "deleteheader": _ALL + 'deleteheader "x-many"; if exists "x-many" { fileinto "yes"; } else { fileinto "no"; }',
    "deleteheader one": _ALL
    + 'deleteheader :index 2 "x-many"; if header "x-many" "b" { fileinto "yes"; } else { fileinto "no"; }',
    "deleteheader match": _ALL
    + 'deleteheader :contains "x-many" "a"; if header "x-many" "a" { fileinto "yes"; } else { fileinto "no"; }',
    "deleteheader protected": _ALL + 'deleteheader "received"; if exists "received" { fileinto "yes"; }',
    "duplicate": _ALL + 'if duplicate { fileinto "yes"; }',
    "empty group": all_of_them(['address :contains "to" "undisclosed"']),
    "markup in a word": all_of_them(['body :contains "Only markup"']),
    "string folds case": all_of_them(['string "a" "A"']),
    "create": _ALL + 'fileinto :create "new/folder";',
}

INVALID: dict[str, str] = {
    "no require": 'fileinto "a";',
    "unknown command": "frobnicate;",
    "unknown test": "if frobnicate { keep; }",
    "unknown extension": 'require "x-unknown";',
    "late require": 'keep; require "fileinto";',
    "no semicolon": "keep",
    "no block": "if true keep;",
    "else first": "else { keep; }",
    "elsif after else": "if true { } else { } elsif true { }",
    "open string": 'redirect "a@b',
    "open block": "if true { keep;",
    "open list": 'require ["fileinto";',
    "wrong argument": "redirect 5;",
    "no argument": "redirect;",
    "too many arguments": 'redirect "a@b.example" "c@d.example";',
    "bad address": 'redirect "not an address";',
    "unknown tag": 'redirect :frob "a@b.example";',
    "two match types": 'if header :is :contains "a" "b" { keep; }',
    "two parts": 'if address :localpart :domain "to" "b" { keep; }',
    "unknown comparator": 'if header :comparator "i;none" "a" "b" { keep; }',
    "list for string": 'require "fileinto"; fileinto ["a","b"];',
    "test as command": "header;",
    "command as test": "if keep { stop; }",
    "bad date part": 'require "date"; if currentdate "frob" "x" { keep; }',
    "bad operator": 'require "relational"; if header :value "xx" "a" "b" { keep; }',
    "bad variable": 'require "variables"; set "1" "b";',
    "bad name space": 'require ["variables","fileinto"]; fileinto "${frob.x}";',
    "allof of one without parentheses": "if allof true { keep; }",
    "size without tag": "if size 100 { keep; }",
    "trailing comma": 'require ["fileinto",];',
    "stray bracket": "keep; }",
}

EXPLAINED = {
    "redirect copy": "addresses that differ in case only are one address here",
    "empty group": "a group without members has no address here; Pigeonhole takes the field's text for one",
    "markup in a word": "markup within a word does not cut the word",
    "string folds case": "RFC 5228 2.7.3: the default comparator is i;ascii-casemap for every test",
    "bad date part": "unknown date parts are refused, not warned of",
    "bad name space": "RFC 5229 3: an unknown name space is an error of the script",
}
"""What is otherwise here, and why: docs/deviations.md has it too."""

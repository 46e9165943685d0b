"""More of the same that is seldom written and still met: encoded and folded fields, nested messages, odd patterns."""

from __future__ import annotations

from interop.sieve.corpus import all_of_them

MESSAGES: dict[str, str] = {
    "folded": """Received: from a by b (c);
 Wed, 25 Nov 2026 23:30:00 -0800
Received: from c by d; Thu, 26 Nov 2026 01:00:00 +0530
From: "Bob \\"The Builder\\" O'Hara" (comment (nested)) <bob.builder+x+y@Example.NET>
To: Team: anna@example.org, "Carol <not@this.example>" <carol@example.org>;,
 dave@sub.example.com (Dave), <@relay.example:eve@example.org>
Cc: =?utf-8?b?0JDQvdC90LAsINCY0LLQsNC90L7QstC90LA=?= <ivanova@example.org>,
 "quoted local"@example.org
Reply-To:
Subject: =?utf-8?q?Gr=C3=BC=C3=9Fe_aus?=
 =?iso-8859-1?q?_K=F6ln_?= =?utf-8?b?4oKs?= and
\ta tab =?x-unknown?q?=41?= =?utf-8?q?_?=end
X-Spam-Score: -5.3
X-Spam-Level: *****
X-Long: one
  two
\t three
X-Empty:
X-Number: 007
X-Number: 12345678901234567890
X-Back\\slash: c:\\dir\\*file?
X-Backslash: c:\\dir\\*file?
Date: 24 Feb 2026 12:00 EST
Resent-Date: Fri, 27 Feb 2026 23:59:60 +1345
Message-ID: <four@example.net>

body with trailing space \n.leading dot\nlast line without end""",
    "nested": """From: <outer@example.net>
To: anna@example.org
Subject: outer
Date: Sun, 31 Dec 2023 23:59:59 -1200
Message-ID: <five@example.net>
MIME-Version: 1.0
Content-Type: multipart/mixed; boundary="out er"

--out er
Content-Type: multipart/alternative; boundary=in

--in
Content-Type: text/plain; charset=iso-8859-1
Content-Transfer-Encoding: quoted-printable

Gr=FC=DFe =
joined
--in
Content-Type: text/html; charset=koi8-r
Content-Transfer-Encoding: base64

PHA+8NLJ18XUPC9wPg==
--in--
--out er
Content-Type: message/rfc822

From: inner@example.net
Subject: =?koi8-r?b?8NLJ18XU?=
Content-Type: multipart/mixed; boundary=deep

--deep

deep plain text
--deep
Content-Type: application/octet-stream
Content-Transfer-Encoding: base64

aGlkZGVuIHdvcmRz
--deep--
--out er
Content-Type: TEXT/Calendar; charset="utf-8"
Content-Transfer-Encoding: 8bit

BEGIN:VCALENDAR
SUMMARY:Ключ
--out er
Content-Type: nonsense
Content-Transfer-Encoding: x-none

unreadable part
--out er--
""",
    "bare": """Subject:

""",
}

_HEADERS = [
    'header :is "subject" "Grüße aus Köln € and a tab A end"',
    'header :contains "subject" "Grüße aus Köln"',
    'header :contains "subject" "köln €"',
    'header :contains "subject" "=?x-unknown"',
    'header :matches "subject" "*and?a tab*"',
    'header :matches "subject" "*end"',
    'header :is "x-long" "one two three"',
    'header :is "x-long" "one  two\\t three"',
    'header :contains "x-long" "two\\t"',
    'header :matches "x-long" "one*three"',
    'header :is "x-empty" ""',
    'header :matches "x-empty" "*"',
    'header :matches "x-empty" "?*"',
    'header :count "eq" :comparator "i;ascii-numeric" "x-empty" "1"',
    'header :count "eq" :comparator "i;ascii-numeric" "x-none" "0"',
    'header :count "ge" :comparator "i;ascii-numeric" ["to","cc","from"] "3"',
    'header :matches "x-backslash" "c:\\\\\\\\dir*"',
    'header :matches "x-backslash" "*\\\\**"',
    'header :matches "x-backslash" "*\\\\?"',
    'header :is "x-backslash" "c:\\\\dir\\\\*file?"',
    'header :matches "x-spam-level" "\\\\*\\\\*\\\\*\\\\*\\\\*"',
    'header :matches "x-spam-level" "\\\\*\\\\*\\\\*\\\\*\\\\*\\\\**"',
    'header :matches "x-spam-level" "?????"',
    'header :matches "x-spam-level" "*?????*"',
    'header :matches "x-spam-level" "??????"',
    'header :contains "x-spam-level" "*****"',
    'header :value "lt" :comparator "i;ascii-numeric" "x-spam-score" "1"',
    'header :value "eq" :comparator "i;ascii-numeric" "x-number" "7"',
    'header :value "gt" :comparator "i;ascii-numeric" "x-number" "12345678901234567889"',
    'header :value "ne" :comparator "i;ascii-numeric" "x-number" "7"',
    'header :value "ge" :comparator "i;ascii-numeric" "subject" "99999999999"',
    'header :value "gt" :comparator "i;octet" "x-number" "0"',
    'header :comparator "i;octet" :contains "subject" "Gr\u00fc\u00dfe"',
    'header :comparator "i;octet" :matches "subject" "gr*"',
    'header :index 1 :is "x-number" "007"',
    'header :index 1 :last :contains "x-number" "123"',
    'header :index 2 :last "x-number" "007"',
    'exists "x-empty"',
    'exists ["x-empty","x-none"]',
    "exists []",
    'header :is "Subject " "outer"',
    'header :is ["x-none", "subject", "x-empty"] ["a", "outer", "b"]',
    'header :is "subject" ""',
    'header :matches "subject" ""',
    'header :contains "received" "from c"',
    'header :count "eq" :comparator "i;ascii-numeric" "received" "2"',
]
_ADDRESSES = [
    'address "from" "bob.builder+x+y@example.net"',
    'address :user "from" "bob.builder"',
    'address :detail "from" "x+y"',
    'address :detail :contains "from" ""',
    'address :detail :is "to" ""',
    'address :detail :matches "to" "*"',
    'address :count "eq" :comparator "i;ascii-numeric" "to" "4"',
    'address :count "ge" :comparator "i;ascii-numeric" "to" "4"',
    'address "to" "anna@example.org"',
    'address "to" "carol@example.org"',
    'address "to" "not@this.example"',
    'address "to" "dave@sub.example.com"',
    'address "to" "eve@example.org"',
    'address :domain :matches "to" "*.com"',
    'address "cc" "ivanova@example.org"',
    'address :localpart "cc" "quoted local"',
    'address :domain :comparator "i;octet" "from" "Example.NET"',
    'address :domain :comparator "i;octet" "from" "example.net"',
    'address :all :matches "from" "*+*@*"',
    'envelope "to" "anna+lists@example.org"',
    'envelope :detail "to" "lists"',
    'envelope :user "to" "anna"',
    'envelope :detail "from" ""',
    'envelope :detail :matches "from" "*"',
    'envelope :count "eq" :comparator "i;ascii-numeric" "to" "1"',
    'envelope :matches "from" "*"',
    'envelope ["from","to"] ["x","anna+lists@example.org"]',
    'envelope :all :is "from" ""',
    'envelope :domain :is "from" ""',
    'envelope :localpart :is "from" ""',
]
_BODIES = [
    'body :contains "Grüße joined"',
    'body :contains "Привет"',
    'body :contains "привет"',
    'body :text :contains "deep plain"',
    'body :contains "hidden words"',
    'body :content "application" :contains "hidden words"',
    'body :content "application/octet-stream" :contains "hidden"',
    'body :content "message/rfc822" :contains "inner@example.net"',
    'body :content "message" :contains "Subject"',
    'body :content "multipart/mixed" :contains "deep"',
    'body :content "multipart" :contains "--in"',
    'body :content "text/calendar" :contains "Ключ"',
    'body :content "text" :contains "VCALENDAR"',
    'body :content "text/html" :contains "<p>"',
    'body :content "TEXT/HTML" :contains "Привет"',
    'body :content "" :contains "VCALENDAR"',
    'body :content "" :contains "hidden"',
    'body :content "text/" :contains "VCALENDAR"',
    'body :content "te" :contains "VCALENDAR"',
    'body :content "text/cal" :contains "VCALENDAR"',
    'body :raw :contains "PHA+8NLJ18XUPC9wPg=="',
    'body :raw :contains "outer"',
    'body :raw :contains "leading dot"',
    'body :raw :contains "\\r\\n.leading"',
    'body :contains "space \\r\\n.leading"',
    'body :text :is ""',
    'body :text :matches "*last line*"',
    'body :text :is "deep plain text"',
    'body :text :count "ge" :comparator "i;ascii-numeric" "1"',
    'body :content "text" :count "ge" :comparator "i;ascii-numeric" "1"',
    'body :contains ""',
    'body :content "image" :contains ""',
    'body :contains ["nothing", "unreadable part"]',
]
_DATES = [
    'date :originalzone "date" "zone" "-0500"',
    'date :originalzone "date" "zone" "-1200"',
    'date :zone "+1400" "date" "date" "2024-01-02"',
    'date :zone "+0000" "date" "hour" "17"',
    'date :originalzone "date" "second" "00"',
    'date :originalzone "date" "minute" "00"',
    'date :originalzone "resent-date" "second" "60"',
    'date :originalzone "resent-date" "zone" "+1345"',
    'date :zone "+0000" "resent-date" "date" "2026-02-27"',
    'date :zone "-1200" "received" "weekday" "3"',
    'date :originalzone "received" "weekday" "3"',
    'date :originalzone :index 1 "received" "hour" "23"',
    'date :originalzone :index 2 "received" "hour" "01"',
    'date :originalzone :index 1 :last "received" "std11" "Thu, 26 Nov 2026 01:00:00 +0530"',
    'date :zone "+0530" :index 1 "received" "std11" "Thu, 26 Nov 2026 13:00:00 +0530"',
    'date :originalzone "date" "julian" "60309"',
    'date :zone "+0000" "date" "julian" "60310"',
    'date :originalzone "date" "day" "31"',
    'date :originalzone "date" "month" "02"',
    'date :originalzone "date" "time" "12:00:00"',
    'date :value "gt" :originalzone :comparator "i;ascii-numeric" "date" "year" "2025"',
    'date "subject" "year" "2026"',
    'date "x-none" "year" ""',
    'date :matches :originalzone "date" "std11" "*2026*"',
    'date :count "eq" :comparator "i;ascii-numeric" "date" "year" "1"',
    'date :count "ge" :comparator "i;ascii-numeric" "received" "year" "1"',
    'currentdate :zone "+0000" "zone" "+0000"',
    'currentdate :zone "-0330" "zone" "-0330"',
    'currentdate :matches "iso8601" "????-??-??T??:??:??*"',
    'currentdate :matches :zone "+0100" "std11" "???, * * * +0100"',
    'currentdate :value "ge" :comparator "i;ascii-numeric" "weekday" "0"',
    'currentdate :value "gt" :comparator "i;ascii-numeric" "julian" "60000"',
]
_STRINGS = [
    'string :matches "abc" "a*c"',
    'string :matches "a*c" "a\\\\*c"',
    'string :matches "abc" "a\\\\*c"',
    'string :matches "" ""',
    'string :matches "" "*"',
    'string :matches "" "?"',
    'string :matches "ä" "?"',
    'string :matches "日本" "??"',
    'string :matches "a\\r\\nb" "a*b"',
    'string :matches "aab" "a*ab"',
    'string :matches "aaa" "*a*a*a*a*"',
    'string :contains "abc" ""',
    'string :is "" ""',
    'string :count "eq" :comparator "i;ascii-numeric" ["a","b","c"] "3"',
    'string :count "eq" :comparator "i;ascii-numeric" "" "0"',
    'string :count "eq" :comparator "i;ascii-numeric" [] "0"',
    'string :value "lt" :comparator "i;ascii-numeric" "9" "10"',
    'string :value "lt" :comparator "i;ascii-casemap" "9" "10"',
    'string :value "eq" :comparator "i;ascii-numeric" "abc" "def"',
    'string :value "gt" :comparator "i;ascii-numeric" "abc" "5"',
    'string :value "eq" :comparator "i;ascii-numeric" "05x" "5y"',
    'string :comparator "i;ascii-numeric" "" ""',
    'string :is "${1}${0}" ""',
    'string :is "$${x}" "$"',
    'string :is "${" "${"',
    'string :is "${x" "${x"',
    'string :is "$\\{x}" "${x}"',
    'string :is "${9}" ""',
]

_ALL = (
    'require ["fileinto","imap4flags","variables","copy","relational","comparator-i;ascii-numeric","envelope",'
    '"subaddress","body","date","index","mailbox","editheader","vacation","reject","encoded-character","duplicate"];\n'
)

TESTS: dict[str, str] = {
    "headers": all_of_them(_HEADERS),
    "addresses": all_of_them(_ADDRESSES),
    "bodies": all_of_them(_BODIES),
    "dates": all_of_them(_DATES),
    "strings": all_of_them(_STRINGS),
    "an address that is quoted": all_of_them(['address "cc" "\\"quoted local\\"@example.org"']),
    "a field without addresses": all_of_them(['address :is "reply-to" ""', 'address :contains "reply-to" ""']),
    "an enclosed header": all_of_them(['body :content "message/rfc822" :contains "Привет"']),
    "a type that is none": all_of_them(['body :content "nonsense" :contains "unreadable"']),
    "no body": all_of_them(['body :raw :is ""']),
    "UTC": all_of_them(['date :zone "+0000" "date" "iso8601" "2024-01-01T11:59:59+00:00"']),
}

SCRIPTS: dict[str, str] = {
    "captures of nothing": _ALL + 'if header :matches "x-empty" "*" { fileinto "a${1}b${0}c${2}"; }',
    "captures greedy": _ALL
    + 'set "s" "a-b-c-d"; if string :matches "${s}" "*-*-?*" { fileinto "${1}|${2}|${3}|${4}"; }',
    "captures of a list": _ALL + 'if header :matches ["x-none","subject"] ["zzz","o*r"] { fileinto "${0}|${1}"; }',
    "captures survive a failure": _ALL
    + 'if string :matches "one two" "* *" { } if string :matches "x" "y*" { } fileinto "${2}|${1}";',
    "captures are those of the last": _ALL
    + 'if allof (string :matches "ab" "a*", string :matches "cd" "*d") { fileinto "${1}|${0}"; }',
    "captures of an address": _ALL + 'if address :matches :domain "from" "*.*" { fileinto "${1}|${2}"; }',
    "captures of escapes": _ALL
    + 'if header :matches "x-backslash" "*\\\\*?ile?" { set :quotewildcard "q" "${1}*?\\\\";'
    ' fileinto "${q}"; }',
    "nine captures": _ALL + 'if string :matches "abcdefghij" "??????????" { fileinto "${1}${9}${10}${01}"; }',
    "modifiers in their order": _ALL
    + 'set :length :lower :upperfirst :quotewildcard "x" "A*B"; set :lowerfirst :upper "y" "aBC";'
    'fileinto "${x}-${y}";',
    "modifiers of letters that are not ASCII": _ALL
    + 'set :upper "x" "straße ä"; set :length "n" "日本"; fileinto "${x}${n}";',
    "names in another case": _ALL + 'set "VaR" "v"; set "_a1" "w"; fileinto "${var}${VAR}${_A1}";',
    "a variable within a variable": _ALL + 'set "a" "b"; set "b" "c"; set "x" "${${a}}"; fileinto "f${x}f${a}";',
    "a variable of itself": _ALL + 'set "a" "x"; set "a" "${a}${a}"; set "a" "${a}${a}"; fileinto "${a}";',
    "characters by number": _ALL + 'fileinto "${hex:41 42}${unicode:43 20ac}${hex: 4z}${unicode:}${Hex:44}";',
    "characters that are none": _ALL + 'fileinto "${unicode:d800}";',
    "folders with odd names": _ALL
    + 'fileinto "a b/c\\"d"; fileinto "&AOk-"; fileinto "é"; fileinto "INBOX"; fileinto "inbox/x";',
    "create odd": _ALL + 'fileinto :create "x y/ü/z";',
    "folder without a name": _ALL + 'fileinto "";',
    "flags of several lists": _ALL
    + 'setflag ["\\\\Seen \\\\Flagged","a  b"]; removeflag "A"; addflag ["c","\\\\Deleted"]; fileinto "x";'
    'setflag ""; keep;',
    "flags that are none": _ALL + 'addflag ["\\\\Recent","\\\\Nonsense","ok","(bad)","a\\"b"]; keep;',
    "keep with flags": _ALL + 'addflag "a"; keep :flags "b c"; keep :flags "d";',
    "flags by a variable": _ALL
    + 'addflag "v" ["a","b"]; if hasflag "v" "B" { fileinto :flags "${v} c" "x"; } removeflag "v" "a";'
    ' if hasflag :count "eq" :comparator "i;ascii-numeric" "v" "1" { fileinto "y"; }',
    "redirect twice": 'redirect "x@example.net"; redirect "y@example.net"; redirect "x@example.net"; keep;',
    "redirect many": "".join(f'redirect "x{n}@example.net";' for n in range(4)),
    "redirect too many": "".join(f'redirect "x{n}@example.net";' for n in range(40)),
    "redirect to an odd address": 'require "variables"; set "a" "x@example.net"; redirect "Name <${a}>";',
    "redirect to a quoted one": 'redirect "\\"a b\\"@example.net";',
    "redirect to nothing": 'require "variables"; redirect "${none}";',
    "added fields first and last": _ALL + 'addheader "X-Number" "first"; addheader :last "X-Number" "last";'
    'if header :index 1 "x-number" "first" { addflag "a"; } if header :index 1 :last "x-number" "last" { addflag "b"; }'
    'if header :count "ge" :comparator "i;ascii-numeric" "x-number" "2" { addflag "c"; } keep;',
    "added and deleted": _ALL + 'addheader "X-A" "1"; addheader "X-A" "2"; deleteheader :index 1 "x-a";'
    'if header "x-a" "1" { addflag "one"; } if header "x-a" "2" { addflag "two"; } keep;',
    "deleted by position from the end": _ALL + 'deleteheader :index 1 :last :contains "x-number" "123";'
    'if header :contains "x-number" "123" { addflag "still"; } if header "x-number" "007" { addflag "other"; } keep;',
    "a field that cannot be added": _ALL + 'addheader "Bad Name" "x"; keep;',
    "a field that is empty": _ALL + 'addheader "X-E" ""; if exists "x-e" { fileinto "yes"; }',
    "a subject that is put in its place": _ALL
    + 'if header :matches "subject" "*" { deleteheader "subject"; addheader "Subject" "[x] ${1}"; }'
    'if header :matches "subject" "[x]*" { fileinto "yes"; } else { fileinto "no"; }',
    "duplicates by handle": _ALL
    + 'if duplicate :handle "a" { fileinto "dup"; } if duplicate :handle "b" { fileinto "dup"; }'
    'if duplicate :header "x-none" { fileinto "dup"; } if duplicate :uniqueid "" { fileinto "dup"; } keep;',
    "vacation of no days": _ALL + 'vacation :days 0 "away";',
    "vacation for somebody else": _ALL + 'vacation :addresses ["zoe@example.org"] "away";',
    "vacation to oneself": _ALL + 'vacation :addresses ["bob@example.net","outer@example.net"] "away";',
    "vacation by MIME": _ALL + "vacation :mime text:\nContent-Type: text/html\n\n<p>away</p>\n.\n;",
    "vacation from": _ALL + 'vacation :from "Anna <anna@example.org>" :subject "${none}x" :handle "" "away";',
    "vacation and reject": _ALL + 'vacation "away"; reject "no";',
    "vacation twice": _ALL + 'vacation "away"; vacation :handle "x" "away";',
    "vacation and discard": _ALL + 'vacation "away"; discard;',
    "reject and file": _ALL + 'reject "no"; fileinto "x";',
    "discard and file": _ALL + 'discard; fileinto "x"; discard;',
    "stop within": _ALL + 'if true { if true { fileinto "a"; stop; } } fileinto "b";',
    "thousand strings": _ALL
    + 'if header "subject" ['
    + ",".join(f'"s{n}"' for n in range(999))
    + ',"outer"] { fileinto "x"; }',
    "sizes": all_of_them(["size :over 0", "size :under 0", "size :over 1G", "size :under 2K", "size :over 4294967295"]),
    "long tests": all_of_them(
        [f"anyof ({'false,' * 60} true)", f"allof ({'true,' * 60} false)", "not " * 20 + "false"]
    ),
}

INVALID: dict[str, str] = {
    "number too large": "if size :over 99999999999999999999 { keep; }",
    "number with a sign": "if size :over -1 { keep; }",
    "unit that is none": "if size :over 1T { keep; }",
    "empty string list": "if exists [] { keep; }",
    "address of no address field": 'if address "subject" "x" { keep; }',
    "envelope part that is none": 'require "envelope"; if envelope "foo" "x" { keep; }',
    "header name with a colon": 'if header "subject:" "x" { keep; }',
    "flag tag without require": 'require "fileinto"; fileinto :flags "x" "a";',
    "index of nothing": 'require "index"; if header :index 0 "a" "b" { keep; }',
    "last without index": 'require "index"; if header :last "a" "b" { keep; }',
    "two modifiers of one precedence": 'require "variables"; set :lower :upper "a" "b";',
    "set of a number": 'require "variables"; set "0" "b";',
    "set of a name with a dash": 'require "variables"; set "a-b" "c";',
    "redirect to a list": 'redirect ["a@b.example","c@d.example"];',
    "vacation without a reason": 'require "vacation"; vacation :days 1;',
    "vacation days twice": 'require "vacation"; vacation :days 1 :days 2 "x";',
    "zone that is none": 'require "date"; if date :zone "UTC" "date" "hour" "1" { keep; }',
    "both zones": 'require "date"; if date :zone "+0000" :originalzone "date" "hour" "1" { keep; }',
    "count without a relation": 'require "relational"; if header :count "a" "b" { keep; }',
    "value of an unknown relation": 'require "relational"; if header :value "EQ" "a" "b" { keep; }',
    "body content without types": 'require "body"; if body :content :contains "x" { keep; }',
    "raw and text": 'require "body"; if body :raw :text :contains "x" { keep; }',
    "if without a test": "if { keep; }",
    "not of two": "if not true, false { keep; }",
    "anyof of none": "if anyof () { keep; }",
    "require in a block": 'if true { require "fileinto"; }',
    "require twice": 'require "fileinto"; require "fileinto"; fileinto "a";',
    "text without end": "redirect text:\na@b.example\n",
    "text with more behind": 'require "fileinto"; fileinto text: x\na\n.\n;',
    "comment without end": "keep; /* x",
    "NUL": "keep;\0",
    "addheader of an address": 'require "editheader"; addheader "X-A\\r\\nB" "x";',
    "deleteheader index twice": 'require "editheader"; deleteheader :index 1 :index 2 "x";',
    "duplicate header and uniqueid": 'require "duplicate"; if duplicate :header "a" :uniqueid "b" { keep; }',
    "stop with an argument": 'stop "x";',
    "keep with a block": "keep { }",
}

BEST_WITH = {"captures of a list": "nested", "thousand strings": "nested", "vacation to oneself": "nested"}
"""The message that a script is about, where it is not the one with folded fields."""

INCLUDED: dict[str, str] = {
    "inner": 'require "fileinto"; fileinto "inner";',
    "stopper": 'require "fileinto"; fileinto "stopped"; stop;',
    "returner": 'require ["fileinto","include"]; fileinto "before"; return; fileinto "after";',
    "nested": 'require ["fileinto","include"]; include :personal "stopper"; fileinto "nested";',
    "deeper": 'require ["fileinto","include"]; include :personal "returner"; fileinto "nested";',
    "globals": 'require ["variables","include"]; global "g"; set "g" "${g}x"; set "l" "local";',
    "self": 'require "include"; include :personal "self";',
    "broken": "frobnicate;",
    "captures": 'require ["variables","fileinto"]; if string :matches "pq" "p*" { fileinto "c${1}"; }',
    "flags": 'require "imap4flags"; addflag "inner";',
    "away": 'require "vacation"; vacation "x";',
}
"""The mailbox's other scripts."""

INCLUDE = 'require ["include","fileinto","variables","imap4flags","vacation"];'
INCLUDING: dict[str, str] = {
    "plain": 'include "inner"; fileinto "x";',
    "personal": 'include :personal "inner";',
    "stop": 'include "stopper"; fileinto "x";',
    "return": 'include "returner"; fileinto "x";',
    "nested stop": 'include "nested"; fileinto "x";',
    "nested return": 'include "deeper"; fileinto "x";',
    "once": 'include :once "inner"; include :once "inner"; fileinto "x";',
    "once after another": 'include "inner"; include :once "inner";',
    "twice": 'include "inner"; include "inner";',
    "missing": 'fileinto "a"; include "none";',
    "optional": 'include :optional "none"; fileinto "x";',
    "of itself": 'include "self";',
    "broken": 'fileinto "a"; include "broken";',
    "broken and optional": 'include :optional "broken"; fileinto "x";',
    "globals": 'global ["g","h"]; set "g" "1"; include "globals"; include "globals"; fileinto "${g}${l}";',
    "global name space": 'global "g"; set "g" "1"; include "globals"; fileinto "${global.g}";',
    "set in the name space": 'set "global.z" "q"; fileinto "${global.z}";',
    "global too late": 'set "g" "1"; global "g"; fileinto "x";',
    "global twice": 'global "g"; global "g"; keep;',
    "captures": 'if string :matches "ab" "a*" { include "captures"; fileinto "${1}"; }',
    "flags": 'include "flags"; keep;',
    "return from the main script": 'fileinto "x"; return; fileinto "y";',
    "within if": 'if false { include "inner"; } keep;',
    "by a variable": 'set "n" "inner"; include "${n}";',
    "vacation twice": 'include "away"; vacation "y";',
    "elsewhere": 'include "../x";',
    "nothing": 'include "";',
}

EXPLAINED = {
    "folder without a name": "fails when the script runs, in Pigeonhole when the mail is stored",
    "an address that is quoted": "quotes are syntax of the address (RFC 5322 3.2.4) and not compared",
    "a field without addresses": "no address is compared where there is none; Pigeonhole takes the text for one",
    "an enclosed header": "RFC 5173 5.2: the enclosed message's header is searched, decoded",
    "a type that is none": "a part whose type is no type/subtype is found by what it says",
    "no body": "a message without a body has an empty one",
    "UTC": "+00:00 as for every other zone, where Pigeonhole writes Z",
    "address of no address field": "fields like X-Original-To hold addresses too; any may be asked",
    "zone that is none": "a zone that cannot mean anything is refused, not warned of",
    "value of an unknown relation": "RFC 5231 5: a string of ABNF, whose case says nothing",
}

"""From of a submitted message."""

from __future__ import annotations

import pytest

from postern.model.ids import AccountId
from postern.model.refusal import Refusal
from postern.services.authorship import check_author
from postern.services.principal import Principal

ANN = Principal(AccountId(1), "ann@example.org", None, 1)


class Rights:
    async def may_send_as(self, principal, address):
        return address == "sales@example.org"

    async def may_send_on_behalf(self, principal, address):
        return address == "boss@example.org"


@pytest.mark.parametrize(
    "content",
    [
        b"From: Ann <ANN@example.org>\r\n\r\nFrom: boss@example.org\r\n",
        b"From: sales@example.org, ann@example.org\r\nSender: x@y\r\n\r\n",
        b"Subject: none\r\n\r\n",
        b"\r\nFrom: stranger@example.org\r\n\r\n",
        b"From: undisclosed:;\r\n\r\n",
    ],
)
async def test_own_names_pass_as_they_are(content):
    assert await check_author(Rights(), ANN, content) == content


@pytest.mark.parametrize(
    "content",
    [
        b"From: stranger@example.org\r\n\r\n",
        b"From: ann@example.org\r\nFrom: stranger@example.org\r\n\r\n",
        b"From: ann@example.org,\r\n stranger@example.org\r\n\r\n",
        b"FROM : stranger@example.org\r\n\r\n",
        b'From: "ann@example.org" <stranger@example.org>\r\n\r\n',
        b"From: stranger@example.org",
        b"From: " + b"ann@example.org, " * 101 + b"ann@example.org\r\n\r\n",
    ],
)
async def test_others_names_are_refused(content):
    with pytest.raises(Refusal, match="sender_not_allowed"):
        await check_author(Rights(), ANN, content)


async def test_on_behalf_the_sender_is_named():
    content = b"From: boss@example.org\r\nSender: boss@example.org\r\nsubject: x\r\n\r\nSender: body\r\n"
    made = await check_author(Rights(), ANN, content)
    assert made == b"Sender: ann@example.org\r\nFrom: boss@example.org\r\nsubject: x\r\n\r\nSender: body\r\n"


async def test_an_author_cannot_hide_behind_a_long_header():
    """256 KiB were read: From behind them was nobody's business, and every reader shows it."""
    filler = b"X-Filler: " + b"y" * 900 + b"\r\n"
    with pytest.raises(Refusal, match="author cannot be told"):
        await check_author(Rights(), ANN, filler * 1200 + b"From: boss@example.org\r\n\r\nbody\r\n")
    long = b"From: ann@example.org\r\n" + filler * 1100 + b"\r\n" + b"body\r\n" * 50_000
    assert await check_author(Rights(), ANN, long) == long

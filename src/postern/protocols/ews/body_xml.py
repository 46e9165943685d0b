"""Bodies as XML, in the kind and the form that the shape asks for (MS-OXWSCDATA 2.2.4.44)."""

from __future__ import annotations

from collections.abc import Callable

from postern.formats import mail_html
from postern.protocols.ews.item_table import Maker, Wish
from postern.protocols.ews.message_facts import MessageFacts, body_of
from postern.protocols.ews.shapes import ItemShape
from postern.protocols.ews.values import BOOL
from postern.protocols.ews.versions import Version
from postern.protocols.soap.writing import text

_PREVIEW = 255
_WORDS = _PREVIEW // 2 + 1
"""So many words are that long at least."""


def body(name: str, wanted: Callable[[ItemShape], str]) -> Maker:
    """Of Body and its relatives; `wanted`: the kind of body that a shape asks for."""

    def make(facts: MessageFacts, wish: Wish) -> str:
        value, kind = body_of(facts, wanted(wish.shape))
        if kind == "HTML":
            value = _html(value, wish.shape)
        limit = wish.shape.max_body
        cut = bool(limit) and len(value) > limit
        truncated = f' IsTruncated="{BOOL[cut]}"' if wish.version >= Version.EXCHANGE_2013 else ""
        return f'<t:{name} BodyType="{kind}"{truncated}>{text(value[:limit] if cut else value)}</t:{name}>'

    return make


def _html(value: str, shape: ItemShape) -> str:
    """As the shape wants it (MS-OXWSCDATA 2.2.4.44)."""
    if shape.to_utf8:
        value = mail_html.declares_utf8(value)
    if not (shape.filter_html or shape.block_images or shape.blank_targets):
        return value
    return mail_html.view(
        value, filtered=shape.filter_html, no_images=shape.block_images, blank_targets=shape.blank_targets
    )


def blocked(facts: MessageFacts, wish: Wish) -> str:
    """HasBlockedImages: of this answer, by BlockExternalImages."""
    found = wish.shape.block_images and mail_html.fetches(body_of(facts, "HTML")[0])
    return f"<t:HasBlockedImages>{BOOL[found]}</t:HasBlockedImages>"


def block_status(facts: MessageFacts, wish: Wish) -> str:
    """BlockStatus: of this answer too."""
    return f"<t:BlockStatus>{BOOL[wish.shape.block_images]}</t:BlockStatus>"


def preview(facts: MessageFacts) -> str:
    """The first words of the text."""
    return " ".join(body_of(facts, "Text")[0][: _PREVIEW * 8].split(None, _WORDS)[:_WORDS])[:_PREVIEW]

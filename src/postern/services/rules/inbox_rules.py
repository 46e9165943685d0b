"""Inbox rules over one message (MS-OXWSRULES): conditions and exceptions asked, actions gathered."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from typing import Any

from postern.formats.sieve.message import Message
from postern.model.actions import INBOX, Action, Decision, Forward, Redirect, Store, Target, TemplateReply
from postern.model.items import SpecialUse
from postern.model.rules import InboxRule, Predicates, RuleActions

_MEETING = ("text/calendar",)


class Facts:
    """A message as rules look at it. What many rules ask for is worked out once."""

    __slots__ = ("_addresses", "_folded", "has_attachment", "header", "message", "own", "received_at")

    def __init__(
        self, message: Message, header: str, has_attachment: bool, received_at: float, own: frozenset[str]
    ) -> None:
        self.message = message
        self.header = header
        """The whole header, decoded roughly."""
        self.has_attachment = has_attachment
        self.received_at = received_at
        self.own = own
        """The owner's addresses, lower case."""
        self._addresses: dict[tuple[str, ...], list[str]] = {}
        self._folded: dict[str, list[str]] = {}

    def addresses(self, *names: str) -> list[str]:
        """Lower case, of all fields with the names."""
        found = self._addresses.get(names)
        if found is None:
            found = self._addresses[names] = [
                f"{local}@{domain}".lower()
                for name in names
                for field in self.message.addresses(name)
                for local, domain in field
            ]
        return found

    def folded(self, what: str, texts: Callable[[], Iterable[str]]) -> list[str]:
        """Texts without case, by a name for them."""
        found = self._folded.get(what)
        if found is None:
            found = self._folded[what] = [text.casefold() for text in texts()]
        return found


def evaluate(rules: Sequence[InboxRule], facts: Facts) -> Decision:
    """What the rules do, in their order."""
    gathered = _Gathered()
    for rule in sorted(rules, key=lambda rule: rule.priority):
        if not rule.enabled or not holds(rule.conditions, facts) or excepted(rule.exceptions, facts):
            continue
        gathered.take(rule.actions)
        if rule.actions.stop_processing:
            break
    return gathered.decision()


class _Gathered:
    """Actions of several rules: the last move counts, copies and flags add up."""

    def __init__(self) -> None:
        self._target: Target | None = None
        self._gone = self._touched = False
        self._copies: list[Target] = []
        self._others: list[Action] = []
        self._flags: list[str] = []
        self._properties: dict[str, str | int | tuple[str, ...]] = {}

    def take(self, actions: RuleActions) -> None:
        self._touched = True
        if actions.move_to_folder is not None:
            self._target = actions.move_to_folder
        if actions.delete:
            self._target = Target(special=SpecialUse.TRASH)
        self._gone = self._gone or actions.permanent_delete
        if actions.copy_to_folder is not None:
            self._copies.append(actions.copy_to_folder)
        self._flags += ["\\Seen"] * actions.mark_as_read
        # categories are keywords too, so that every protocol shows them
        self._flags += [name for name in (_keyword(text) for text in actions.assign_categories) if name]
        if actions.assign_categories:
            before = self._properties.get("PidNameKeywords", ())
            assert isinstance(before, tuple)
            self._properties["PidNameKeywords"] = tuple(dict.fromkeys((*before, *actions.assign_categories)))
        if actions.mark_importance:
            self._properties["PidTagImportance"] = {"Low": 0, "High": 2}.get(actions.mark_importance, 1)
        self._others += [Redirect(address) for address in actions.redirect_to]
        if actions.forward_to:
            self._others.append(Forward(actions.forward_to))
        if actions.forward_as_attachment_to:
            self._others.append(Forward(actions.forward_as_attachment_to, attached=True))
        if actions.reply_with_item is not None:
            self._others.append(TemplateReply(actions.reply_with_item))

    def decision(self) -> Decision:
        flags, properties = tuple(dict.fromkeys(self._flags)), tuple(self._properties.items())
        targets = [] if self._gone else [self._target or INBOX]
        targets += [copy for copy in dict.fromkeys(self._copies) if copy not in targets]
        stores = tuple(Store(target, flags, None, properties) for target in targets)
        return Decision((*stores, *dict.fromkeys(self._others)), implicit=not self._touched)


def _keyword(category: str) -> str:
    """An IMAP keyword for a category, or nothing if it cannot be one."""
    name = category.replace(" ", "_")
    plain = name.isascii() and name.isprintable() and not set(name) & set('(){ %*"\\]')
    return name if name and plain else ""


def holds(asked: Predicates, facts: Facts) -> bool:
    """Whether all that is asked holds."""
    return all(answer for answer in _answers(asked, facts))


def excepted(asked: Predicates, facts: Facts) -> bool:
    """Whether anything that is asked holds."""
    return any(answer for answer in _answers(asked, facts))


def _answers(asked: Predicates, facts: Facts) -> list[bool]:
    """One answer for each predicate that is said."""
    answers = []
    for name, ask in _ASK.items():
        wanted = getattr(asked, name)
        if wanted is not None and wanted is not False and wanted not in ((), ""):
            answers.append(ask(facts, wanted))
    return answers


def _contains(folded: Collection[str], wanted: Collection[str]) -> bool:
    """Whether one of the texts without case has one of the words."""
    return any(word in text for word in map(str.casefold, wanted) for text in folded)


def _subject(facts: Facts, wanted: Collection[str]) -> bool:
    return _contains(facts.folded("subject", lambda: facts.message.values("subject")), wanted)


def _people(facts: Facts, wanted: Collection[str], *names: str) -> bool:
    """In fields with their display names, decoded, or in the bare addresses."""
    values = facts.message.values
    texts = facts.folded(
        " ".join(names), lambda: [value for name in names for value in values(name)] + facts.addresses(*names)
    )
    return _contains(texts, wanted)


def _fits(addresses: Collection[str], wanted: Collection[str]) -> bool:
    return bool({one.lower() for one in wanted} & set(addresses))


def _field_is(facts: Facts, name: str, *values: str) -> bool:
    return any(value.lower().startswith(values) for value in facts.message.values(name))


def _importance(facts: Facts, wanted: str) -> bool:
    found = next(iter(facts.message.values("importance")), "").lower()
    priority = next(iter(facts.message.values("x-priority")), "")[:1]
    if found not in ("low", "high"):
        found = {"1": "high", "2": "high", "4": "low", "5": "low"}.get(priority, "normal")
    return found == wanted.lower()


def _sensitivity(facts: Facts, wanted: str) -> bool:
    found = next(iter(facts.message.values("sensitivity")), "").lower()
    return {"company-confidential": "confidential", "": "normal"}.get(found, found) == wanted.lower()


def _content_type(facts: Facts, *types: str) -> bool:
    return _field_is(facts, "content-type", *types)


def _calendar(facts: Facts, *methods: str) -> bool:
    """Whether a part is iTIP of one of the methods (RFC 6047 2.4)."""
    texts = facts.folded("meeting", lambda: facts.message.content_parts(_MEETING))
    return _contains(texts, [f"method:{method}" for method in methods])


def _class(facts: Facts) -> str:
    """The message class that such a message has (MS-OXCMAIL 2.2.3.2), coarse."""
    if _calendar(facts, "REQUEST"):
        return "IPM.Schedule.Meeting.Request"
    if _calendar(facts, "REPLY"):
        return "IPM.Schedule.Meeting.Resp"
    if _content_type(facts, "multipart/report"):
        return "REPORT.IPM.Note"
    return "IPM.Note.SMIME.MultipartSigned" if _content_type(facts, "multipart/signed") else "IPM.Note"


def _to_me(facts: Facts, *names: str) -> bool:
    return bool(facts.own & {_untagged(address) for address in facts.addresses(*names)})


def _untagged(address: str) -> str:
    local, at, domain = address.rpartition("@")
    return local.partition("+")[0] + at + domain


def _never(_facts: Facts, _wanted: object) -> bool:
    """What mail from outside never is, or what nothing here can tell."""
    return False


_FLAG_NAMES = {"foryourinformation": "fyi", "follow-up": "followup"}


def _flag(facts: Facts) -> str:
    """What a message asks to be done with it (`Follow up`), in the spelling of MS-OXWSRULES 2.2.5.1, lower case."""
    return "".join(next(iter(facts.message.values("x-message-flag")), "").lower().split())


def _words(facts: Facts, wanted: Sequence[str]) -> bool:
    return _contains(facts.folded("text", facts.message.text_parts), wanted)


_ASK: dict[str, Callable[[Facts, Any], bool]] = {
    # cheap ones first: exceptions and conditions stop at none, but most rules ask one thing
    "categories": lambda facts, wanted: _fits([v.strip().lower() for v in _keywords(facts)], wanted),
    "contains_subject_strings": _subject,
    "contains_sender_strings": lambda facts, wanted: _people(facts, wanted, "from"),
    "contains_recipient_strings": lambda facts, wanted: _people(facts, wanted, "to", "cc"),
    "contains_header_strings": lambda facts, wanted: _contains(facts.folded("header", lambda: [facts.header]), wanted),
    "contains_body_strings": _words,
    "contains_subject_or_body_strings": lambda facts, wanted: _subject(facts, wanted) or _words(facts, wanted),
    "flagged_for_action": lambda facts, wanted: (
        bool(flag := _flag(facts)) and wanted.lower() in ("any", flag, _FLAG_NAMES.get(flag))
    ),
    "from_addresses": lambda facts, wanted: _fits(facts.addresses("from", "sender"), wanted),
    "from_connected_accounts": _never,
    "has_attachments": lambda facts, _: facts.has_attachment,
    "importance": _importance,
    "is_approval_request": _never,
    "is_automatic_forward": lambda facts, _: (
        _field_is(facts, "auto-submitted", "auto-forwarded")
        or bool(facts.message.raw("x-ms-exchange-generated-message-source"))
    ),
    "is_automatic_reply": lambda facts, _: _field_is(facts, "auto-submitted", "auto-replied"),
    "is_encrypted": lambda facts, _: (
        _content_type(facts, "multipart/encrypted")
        or any("enveloped-data" in value.lower() for value in facts.message.values("content-type"))
    ),
    "is_meeting_request": lambda facts, _: _calendar(facts, "REQUEST"),
    "is_meeting_response": lambda facts, _: _calendar(facts, "REPLY", "COUNTER"),
    "is_ndr": lambda facts, _: any("delivery-status" in v.lower() for v in facts.message.values("content-type")),
    "is_permission_controlled": lambda facts, _: _field_is(facts, "content-class", "rpmsg.message"),
    "is_read_receipt": lambda facts, _: any(
        "disposition-notification" in v.lower() for v in facts.message.values("content-type")
    ),
    "is_signed": lambda facts, _: (
        _content_type(facts, "multipart/signed")
        or any("signed-data" in value.lower() for value in facts.message.values("content-type"))
    ),
    "is_voicemail": lambda facts, _: bool(facts.message.raw("x-voicemessageduration")),
    "item_classes": lambda facts, wanted: _fits([_class(facts).lower()], wanted),
    "message_classifications": lambda facts, wanted: _fits(
        [v.lower() for v in facts.message.values("x-microsoft-classid")], wanted
    ),
    "not_sent_to_me": lambda facts, _: not _to_me(facts, "to"),
    "sent_cc_me": lambda facts, _: _to_me(facts, "cc"),
    "sent_only_to_me": lambda facts, _: (
        _to_me(facts, "to") and len(facts.addresses("to")) == 1 and not facts.addresses("cc")
    ),
    "sent_to_me": lambda facts, _: _to_me(facts, "to"),
    "sent_to_or_cc_me": lambda facts, _: _to_me(facts, "to", "cc"),
    "sent_to_addresses": lambda facts, wanted: _fits(facts.addresses("to", "cc"), wanted),
    "sensitivity": _sensitivity,
    "received_after": lambda facts, wanted: facts.received_at >= wanted,
    "received_before": lambda facts, wanted: facts.received_at <= wanted,
    "minimum_kib": lambda facts, wanted: facts.message.size >= wanted * 1024,
    "maximum_kib": lambda facts, wanted: facts.message.size <= wanted * 1024,
}


def _keywords(facts: Facts) -> list[str]:
    return [word for value in facts.message.values("keywords") for word in value.split(",")]

"""Rules of a mailbox as values: inbox rules (MS-OXWSRULES), out of office (MS-OXWOOF), junk lists.

They are kept by field name, so a field may be added; none changes its meaning.
"""

from __future__ import annotations

from enum import Enum

import msgspec

from postern.model.actions import Target

STRINGS: tuple[str, ...] = ()


class Predicates(msgspec.Struct, frozen=True, omit_defaults=True):
    """Conditions or exceptions (MS-OXWSRULES 2.2.4.12 RulePredicatesType). What is not said is not asked.

    Conditions hold if all that is said holds, exceptions if any of it does; of several strings one has to fit.
    """

    categories: tuple[str, ...] = STRINGS
    contains_body_strings: tuple[str, ...] = STRINGS
    contains_header_strings: tuple[str, ...] = STRINGS
    contains_recipient_strings: tuple[str, ...] = STRINGS
    contains_sender_strings: tuple[str, ...] = STRINGS
    contains_subject_or_body_strings: tuple[str, ...] = STRINGS
    contains_subject_strings: tuple[str, ...] = STRINGS
    flagged_for_action: str = ""
    from_addresses: tuple[str, ...] = STRINGS
    from_connected_accounts: tuple[str, ...] = STRINGS
    has_attachments: bool = False
    importance: str = ""
    """Low, Normal or High."""
    is_approval_request: bool = False
    is_automatic_forward: bool = False
    is_automatic_reply: bool = False
    is_encrypted: bool = False
    is_meeting_request: bool = False
    is_meeting_response: bool = False
    is_ndr: bool = False
    is_permission_controlled: bool = False
    is_read_receipt: bool = False
    is_signed: bool = False
    is_voicemail: bool = False
    item_classes: tuple[str, ...] = STRINGS
    message_classifications: tuple[str, ...] = STRINGS
    not_sent_to_me: bool = False
    sent_cc_me: bool = False
    sent_only_to_me: bool = False
    sent_to_addresses: tuple[str, ...] = STRINGS
    sent_to_me: bool = False
    sent_to_or_cc_me: bool = False
    sensitivity: str = ""
    """Normal, Personal, Private or Confidential."""
    received_after: int | None = None
    """WithinDateRange, seconds since the epoch."""
    received_before: int | None = None
    minimum_kib: int | None = None
    """WithinSizeRange."""
    maximum_kib: int | None = None


class RuleActions(msgspec.Struct, frozen=True, omit_defaults=True):
    """MS-OXWSRULES 2.2.4.10 RuleActionsType."""

    assign_categories: tuple[str, ...] = STRINGS
    copy_to_folder: Target | None = None
    delete: bool = False
    """Into Deleted Items."""
    forward_as_attachment_to: tuple[str, ...] = STRINGS
    forward_to: tuple[str, ...] = STRINGS
    mark_importance: str = ""
    mark_as_read: bool = False
    move_to_folder: Target | None = None
    permanent_delete: bool = False
    redirect_to: tuple[str, ...] = STRINGS
    reply_with_item: int | None = None
    """ServerReplyWithMessage: number of an item of the mailbox."""
    stop_processing: bool = False


class InboxRule(msgspec.Struct, frozen=True, omit_defaults=True):
    """MS-OXWSRULES 2.2.4.11 RuleType."""

    name: str
    priority: int = 1
    """Lower ones come first."""
    enabled: bool = True
    conditions: Predicates = Predicates()
    """Nothing said: every message."""
    exceptions: Predicates = Predicates()
    """Nothing said: none."""
    actions: RuleActions = RuleActions()

    @property
    def strings(self) -> list[str]:
        """All that it looks for."""
        both = (self.conditions, self.exceptions)
        lists = [getattr(asked, name) for asked in both for name in asked.__struct_fields__]
        return [word for one in lists if isinstance(one, tuple) for word in one]


class OofState(Enum):
    """MS-OXWOOF 2.2.5.2 OofState."""

    DISABLED = "disabled"
    ENABLED = "enabled"
    SCHEDULED = "scheduled"


class Audience(Enum):
    """Who outside the organisation is answered (MS-OXWOOF 2.2.5.1 ExternalAudience)."""

    NONE = "none"
    KNOWN = "known"
    """Those in the contacts."""
    ALL = "all"


class Oof(msgspec.Struct, frozen=True, omit_defaults=True):
    """Out of office (MS-OXWOOF 2.2.4.5 UserOofSettings)."""

    state: OofState = OofState.DISABLED
    audience: Audience = Audience.ALL
    starts_at: int = 0
    """Seconds since the epoch; for SCHEDULED, the end exclusive."""
    ends_at: int = 0
    internal_reply: str = ""
    """Plain text, or HTML if it begins with a tag; empty: no reply."""
    external_reply: str = ""

    def active(self, now: float) -> bool:
        """Whether senders are answered at that time."""
        if self.state is OofState.SCHEDULED:
            return self.starts_at <= now < self.ends_at
        return self.state is OofState.ENABLED


class Junk(msgspec.Struct, frozen=True, omit_defaults=True):
    """Junk mail of a mailbox. Lists have addresses and domains (`example.org` or `@example.org`)."""

    enabled: bool = True
    safe_senders: tuple[str, ...] = STRINGS
    safe_recipients: tuple[str, ...] = STRINGS
    blocked_senders: tuple[str, ...] = STRINGS
    only_safe: bool = False
    """Everything from others is junk."""


MAX_RULES = 256
MAX_STRINGS = 1000
"""In one list of a rule."""
MAX_RULE_CHARACTERS = 262_144
"""What all rules of a mailbox look for, together; Exchange's RulesQuota is as much at most."""
MAX_LIST = 1024
"""Entries of a junk list; Exchange's limit."""
MAX_REPLY_CHARACTERS = 131_072

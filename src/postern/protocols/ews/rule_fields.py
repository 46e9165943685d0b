"""Inbox rules: what each element is called, and which field of the rule it is (MS-OXWSRULES 2.2.4.10, 2.2.4.12)."""

from __future__ import annotations

from typing import NamedTuple

from postern.model.rules import InboxRule

IMPORTANCES = ("Low", "Normal", "High")
SENSITIVITIES = ("Normal", "Personal", "Private", "Confidential")
FLAGGED = (
    "Any",
    "Call",
    "DoNotForward",
    "FollowUp",
    "FYI",
    "Forward",
    "NoResponseNecessary",
    "Read",
    "Reply",
    "ReplyToAll",
    "Review",
)

STRINGS, ADDRESSES, BOOLEAN, CHOICE, DATES, SIZES, TARGET, ITEM = (
    "strings", "addresses", "boolean", "choice", "dates", "sizes", "target", "item",
)  # fmt: skip


class Row(NamedTuple):
    """One element."""

    element: str
    field: str
    """Of Predicates or RuleActions; of ranges the first of two."""
    kind: str
    choices: tuple[str, ...] = ()


PREDICATES = (
    Row("Categories", "categories", STRINGS),
    Row("ContainsBodyStrings", "contains_body_strings", STRINGS),
    Row("ContainsHeaderStrings", "contains_header_strings", STRINGS),
    Row("ContainsRecipientStrings", "contains_recipient_strings", STRINGS),
    Row("ContainsSenderStrings", "contains_sender_strings", STRINGS),
    Row("ContainsSubjectOrBodyStrings", "contains_subject_or_body_strings", STRINGS),
    Row("ContainsSubjectStrings", "contains_subject_strings", STRINGS),
    Row("FlaggedForAction", "flagged_for_action", CHOICE, FLAGGED),
    Row("FromAddresses", "from_addresses", ADDRESSES),
    Row("FromConnectedAccounts", "from_connected_accounts", STRINGS),
    Row("HasAttachments", "has_attachments", BOOLEAN),
    Row("Importance", "importance", CHOICE, IMPORTANCES),
    Row("IsApprovalRequest", "is_approval_request", BOOLEAN),
    Row("IsAutomaticForward", "is_automatic_forward", BOOLEAN),
    Row("IsAutomaticReply", "is_automatic_reply", BOOLEAN),
    Row("IsEncrypted", "is_encrypted", BOOLEAN),
    Row("IsMeetingRequest", "is_meeting_request", BOOLEAN),
    Row("IsMeetingResponse", "is_meeting_response", BOOLEAN),
    Row("IsNDR", "is_ndr", BOOLEAN),
    Row("IsPermissionControlled", "is_permission_controlled", BOOLEAN),
    Row("IsReadReceipt", "is_read_receipt", BOOLEAN),
    Row("IsSigned", "is_signed", BOOLEAN),
    Row("IsVoicemail", "is_voicemail", BOOLEAN),
    Row("ItemClasses", "item_classes", STRINGS),
    Row("MessageClassifications", "message_classifications", STRINGS),
    Row("NotSentToMe", "not_sent_to_me", BOOLEAN),
    Row("SentCcMe", "sent_cc_me", BOOLEAN),
    Row("SentOnlyToMe", "sent_only_to_me", BOOLEAN),
    Row("SentToAddresses", "sent_to_addresses", ADDRESSES),
    Row("SentToMe", "sent_to_me", BOOLEAN),
    Row("SentToOrCcMe", "sent_to_or_cc_me", BOOLEAN),
    Row("Sensitivity", "sensitivity", CHOICE, SENSITIVITIES),
    Row("WithinDateRange", "received_after", DATES),
    Row("WithinSizeRange", "minimum_kib", SIZES),
)
"""In the order of the schema."""

ACTIONS = (
    Row("AssignCategories", "assign_categories", STRINGS),
    Row("CopyToFolder", "copy_to_folder", TARGET),
    Row("Delete", "delete", BOOLEAN),
    Row("ForwardAsAttachmentToRecipients", "forward_as_attachment_to", ADDRESSES),
    Row("ForwardToRecipients", "forward_to", ADDRESSES),
    Row("MarkImportance", "mark_importance", CHOICE, IMPORTANCES),
    Row("MarkAsRead", "mark_as_read", BOOLEAN),
    Row("MoveToFolder", "move_to_folder", TARGET),
    Row("PermanentDelete", "permanent_delete", BOOLEAN),
    Row("RedirectToRecipients", "redirect_to", ADDRESSES),
    Row("SendSMSAlertToRecipients", "", ADDRESSES),
    Row("ServerReplyWithMessage", "reply_with_item", ITEM),
    Row("StopProcessingRules", "stop_processing", BOOLEAN),
)

UNABLE = {
    "FromConnectedAccounts": ("ConnectedAccountNotFound", "No mailbox here fetches mail from other accounts."),
    "IsApprovalRequest": ("UnsupportedRule", "No mail is held for approval here."),
    "SendSMSAlertToRecipients": ("UnsupportedRule", "This server sends no text messages."),
}
"""What no rule here can do: the error that it is refused with (MS-OXWSRULES 2.2.5.3)."""


class Fault(NamedTuple):
    """What is wrong with a field of a rule (MS-OXWSRULES 2.2.4.19 RuleValidationErrorType)."""

    field: str
    """RuleFieldURIType: `Condition:Importance`."""
    code: str
    text: str
    value: str = ""


class Shown(NamedTuple):
    """A rule as it is to be told."""

    id: str
    rule: InboxRule
    targets: dict[str, str]
    """`CopyToFolder` and `MoveToFolder`: what names the folder, written; `ServerReplyWithMessage`: the item's id."""
    in_error: bool = False
    """A folder or message that it needs is not there any more."""
    supported: bool = True
    """False: it says something that EWS has no words for."""

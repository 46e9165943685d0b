"""Mail that no person wrote, or that went to many: what never gets an automatic reply (RFC 3834 2, RFC 5230 4.5)."""

from __future__ import annotations

from postern.formats.mime.header import all_of, first

_LIST_FIELDS = (
    b"list-id", b"list-help", b"list-subscribe", b"list-unsubscribe", b"list-post", b"list-owner", b"list-archive",
    b"mailing-list", b"x-mailing-list", b"x-loop",
)  # fmt: skip
_SENDERS = ("mailer-daemon", "mailer_daemon", "listserv", "majordomo", "noreply", "no-reply", "donotreply",
            "do-not-reply", "postmaster", "bounce", "bounces")  # fmt: skip


def why_not_answered(header: bytes, reverse_path: str) -> str:
    """Why a message gets no automatic reply; empty if it may get one. `header`: its header block."""
    if not reverse_path or "@" not in reverse_path:
        return "no sender"
    local = reverse_path.rpartition("@")[0].lower()
    user = local.partition("+")[0]
    if user in _SENDERS or user.startswith("owner-") or user.endswith(("-request", "-owner", "-bounces", "-bounce")):
        return "the sender is a machine or a list"
    for value in all_of(header, b"auto-submitted"):
        if value.partition(b";")[0].strip().lower() != b"no":
            return "automatic"
    for value in all_of(header, b"precedence"):
        if value.strip().lower() in (b"bulk", b"list", b"junk"):
            return "bulk"
    for field in _LIST_FIELDS:
        if first(header, field) is not None:
            return "from a list"
    # MS-OXCMAIL 2.2.3.2.14
    for value in all_of(header, b"x-auto-response-suppress"):
        if {word.strip() for word in value.lower().split(b",")} & {b"all", b"oof", b"autoreply"}:
            return "the sender wants no automatic reply"
    if (first(header, b"content-type") or b"").lower().startswith(b"multipart/report"):
        return "a report"
    if (first(header, b"x-spam-flag") or b"").lower() == b"yes":
        return "spam"
    return ""

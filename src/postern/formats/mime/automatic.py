"""Mail that no person wrote, or that went to many: what never gets an automatic reply (RFC 3834 2, RFC 5230 4.5)."""

from __future__ import annotations

from postern.formats.mime.header import unfold, values

HEADER_LIMIT_BYTES = 262_144
"""Of the header is looked at; machines say early what they are."""
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
    found: dict[bytes, list[bytes]] = {}
    for name, value in values(header[:HEADER_LIMIT_BYTES]):
        found.setdefault(name.lower(), []).append(unfold(value))
    for value in found.get(b"auto-submitted", ()):
        if value.partition(b";")[0].strip().lower() != b"no":
            return "automatic"
    for value in found.get(b"precedence", ()):
        if value.strip().lower() in (b"bulk", b"list", b"junk"):
            return "bulk"
    if any(field in found for field in _LIST_FIELDS):
        return "from a list"
    # MS-OXCMAIL 2.2.3.2.14
    for value in found.get(b"x-auto-response-suppress", ()):
        if {word.strip() for word in value.lower().split(b",")} & {b"all", b"oof", b"autoreply"}:
            return "the sender wants no automatic reply"
    if found.get(b"content-type", [b""])[0].lower().startswith(b"multipart/report"):
        return "a report"
    if found.get(b"x-spam-flag", [b""])[0].lower() == b"yes":
        return "spam"
    return ""

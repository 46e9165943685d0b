"""What belongs to a mailbox's calendar and is no item: zone, working hours, delegates, booking policy, publishing.

Values of kind `calendar` in the mailbox (store settings); one that cannot be read counts as not set.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Sequence

import msgspec

from postern.directory.interface import Account, RecipientKind
from postern.model.calendar.zones import UTC_ZONE, Zone
from postern.model.ids import ChangeNumber, MailboxId
from postern.model.refusal import Reason, Refusal
from postern.model.sync import Setting
from postern.services.calendar.booking import Automation, BookingPolicy
from postern.services.calendar.delegates import Delegate
from postern.services.calendar.delegates import Delivery as DelegateDelivery
from postern.services.calendar.freebusy import WorkingHours
from postern.services.calendar.publishing import Level
from postern.store.interface import Mailbox

KIND = "calendar"
_DELEGATES = "delegates"
_MOST_ATTEMPTS = 100
_log = logging.getLogger(__name__)


class Published(msgspec.Struct, frozen=True):
    """How a calendar is published (Exchange: Set-MailboxCalendarFolder); off by default."""

    enabled: bool = False
    level: Level = Level.AVAILABILITY
    secret: str = ""
    """In its address; empty: the address can be guessed from the owner's."""
    days_before: int = 30
    days_after: int = 180


class CalendarSettings(msgspec.Struct, frozen=True):
    """With everybody's defaults."""

    zone: Zone = UTC_ZONE
    language: str = "en"
    hours: WorkingHours | None = None
    """None: Monday to Friday, 8 to 17 in `zone`."""
    delegates: tuple[Delegate, ...] = ()
    delivery: DelegateDelivery = DelegateDelivery.DELEGATES_AND_ME
    booking: BookingPolicy | None = None
    """None: what is usual for the kind of mailbox."""
    published: Published = Published()

    @property
    def working_hours(self) -> WorkingHours:
        """When the owner works."""
        return self.hours if self.hours is not None else WorkingHours(self.zone)


DEFAULTS = CalendarSettings()
_FIELDS = {each.name: each.type for each in msgspec.structs.fields(CalendarSettings)}
USER_POLICY = BookingPolicy(
    automation=Automation.UPDATE,
    process_external=True,
    add_organizer_to_subject=False,
    delete_subject=False,
    delete_comments=False,
    delete_attachments=False,
    remove_private=False,
)
"""People's calendars show requests tentatively, and people answer them."""
ROOM_POLICY = BookingPolicy()


def policy_of(settings: CalendarSettings, account: Account) -> BookingPolicy:
    """The policy in force."""
    if settings.booking is not None:
        return settings.booking
    bookable = account.kind in (RecipientKind.ROOM, RecipientKind.EQUIPMENT)
    return msgspec.structs.replace(ROOM_POLICY, hours=settings.working_hours) if bookable else USER_POLICY


async def load_settings(mailbox: Mailbox) -> CalendarSettings:
    """A mailbox's; cheap: one seek."""
    return settings_of(mailbox.id, await mailbox.settings(KIND))


def settings_of(mailbox: MailboxId, stored: Sequence[Setting]) -> CalendarSettings:
    """What values of KIND say."""
    if not stored:
        return DEFAULTS
    found = {}
    for setting in stored:
        kind = _FIELDS.get(setting.key)
        if kind is None:
            continue
        try:
            found[setting.key] = msgspec.json.decode(setting.value, type=kind)
        except (msgspec.DecodeError, ValueError) as problem:
            _log.warning("calendar setting %s of mailbox %s can not be read: %s", setting.key, mailbox, problem)
    return CalendarSettings(**found)


async def save_settings(mailbox: Mailbox, **values: object) -> None:
    """Set some of them by name; durable on return."""
    packed: dict[str, bytes | None] = {
        name: None if value is None else msgspec.json.encode(value) for name, value in values.items()
    }
    assert packed.keys() <= _FIELDS.keys()
    await mailbox.set_settings(KIND, packed)
    await mailbox.durable()


async def replace_delegates(
    mailbox: Mailbox, change: Callable[[Sequence[Delegate]], Awaitable[Sequence[Delegate]]]
) -> None:
    """Change the list of delegates as a whole; durable on return. Raises what `change` raises, Refusal(TRY_LATER).

    `change` is asked again if somebody else, in whatever process, has written the list meanwhile: nobody is lost.
    """
    for _attempt in range(_MOST_ATTEMPTS):
        stored = await mailbox.settings(KIND)
        since = next((one.changed for one in stored if one.key == _DELEGATES), ChangeNumber(0))
        wanted = tuple(await change(settings_of(mailbox.id, stored).delegates))
        try:
            await mailbox.set_settings(KIND, {_DELEGATES: msgspec.json.encode(wanted)}, since)
        except Refusal as refusal:
            if refusal.reason is not Reason.CONFLICT:
                raise
            continue
        await mailbox.durable()
        return
    raise Refusal(Reason.TRY_LATER, "the delegates are being changed by others")

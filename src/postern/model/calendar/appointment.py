"""Appointments, meetings and tasks, as every protocol's calendar is made from."""

from __future__ import annotations

from datetime import date, datetime, time
from enum import Enum, IntEnum, IntFlag

import msgspec

from postern.model.calendar.recurrence import Recurrence
from postern.model.calendar.zones import UTC_ZONE, Zone


class Busy(IntEnum):
    """PidLidBusyStatus (MS-OXOCAL 2.2.1.2)."""

    FREE = 0
    TENTATIVE = 1
    BUSY = 2
    OUT_OF_OFFICE = 3
    WORKING_ELSEWHERE = 4


class Sensitivity(IntEnum):
    """PidTagSensitivity (MS-OXCMSG 2.2.1.13)."""

    NORMAL = 0
    PERSONAL = 1
    PRIVATE = 2
    CONFIDENTIAL = 3


class Importance(IntEnum):
    """PidTagImportance (MS-OXCMSG 2.2.1.11)."""

    LOW = 0
    NORMAL = 1
    HIGH = 2


class State(IntFlag):
    """PidLidAppointmentStateFlags (MS-OXOCAL 2.2.1.10)."""

    NONE = 0
    MEETING = 1
    RECEIVED = 2
    """It is an attendee's copy."""
    CANCELED = 4


class Response(IntEnum):
    """PidLidResponseStatus (MS-OXOCAL 2.2.1.11)."""

    NONE = 0
    ORGANIZED = 1
    TENTATIVE = 2
    ACCEPTED = 3
    DECLINED = 4
    NOT_RESPONDED = 5


class Role(IntEnum):
    """PidTagRecipientType of an attendee (MS-OXOCAL 2.2.4.10.7)."""

    REQUIRED = 1
    OPTIONAL = 2
    RESOURCE = 3


class Person(msgspec.Struct, frozen=True):
    """Somebody by address; the name may be empty."""

    address: str
    name: str = ""

    @property
    def key(self) -> str:
        """Two people of one key are one."""
        return self.address.casefold()


class Attendee(msgspec.Struct, frozen=True):
    """Somebody invited, and what is known of the answer."""

    person: Person
    role: Role = Role.REQUIRED
    response: Response = Response.NONE
    responded_at: datetime | None = None
    sequence: int = 0
    """Of the request that was answered."""
    proposed_start: datetime | None = None
    """Aware UTC, both or none: another time that was proposed."""
    proposed_end: datetime | None = None


class Conferencing(msgspec.Struct, frozen=True):
    """How people meet who are not in one room (MS-OXOCAL 2.2.1.56)."""

    kind: int | None = None
    """PidLidConferencingType: 0 video, 1 presentation, 2 chat."""
    workspace_url: str = ""
    """PidLidMeetingWorkspaceUrl."""
    net_show_url: str = ""
    """PidLidNetShowUrl."""


NOT_ONLINE = Conferencing()


class Reminded(msgspec.Struct, frozen=True):
    """How far somebody has got with reminders (MS-OXORMDR 2.2.1): aware UTC."""

    start: datetime
    """Of the time that is reminded of next; times of a series before it are done with."""
    at: datetime
    """When it rings."""


class Attachment(msgspec.Struct, frozen=True):
    """A file, or where one is to be had."""

    name: str
    content_type: str = "application/octet-stream"
    content: bytes = b""
    uri: str = ""
    more: tuple[tuple[str, str | bool], ...] = ()
    """Further properties that it is stored with."""


class Appointment(msgspec.Struct, frozen=True, kw_only=True):
    """An appointment, a series of them, or one that stands for itself out of a series of somebody else.

    `start` and `end` are aware UTC; a series' are those of its first occurrence. The wall clock of `zone` is what
    repeats. A whole day lies from midnight to midnight of its zone.
    """

    uid: str
    start: datetime
    end: datetime
    zone: Zone = UTC_ZONE
    all_day: bool = False
    subject: str = ""
    location: str = ""
    text: str = ""
    """The description in plain text."""
    html: str = ""
    busy: Busy = Busy.BUSY
    intended_busy: Busy = Busy.BUSY
    """What the organizer asks for (PidLidIntendedBusyStatus)."""
    sensitivity: Sensitivity = Sensitivity.NORMAL
    importance: Importance = Importance.NORMAL
    categories: tuple[str, ...] = ()
    reminder_minutes: int | None = None
    """Before the start; None is without."""
    reminded: Reminded | None = None
    """None: nothing was put off or done with."""
    organizer: Person | None = None
    attendees: tuple[Attendee, ...] = ()
    state: State = State.NONE
    response: Response = Response.NONE
    """Of the mailbox's owner."""
    responded_at: datetime | None = None
    sequence: int = 0
    stamp: datetime | None = None
    """When the organizer last changed something (PidLidOwnerCriticalChange, DTSTAMP)."""
    created_at: datetime | None = None
    modified_at: datetime | None = None
    response_requested: bool = True
    counter_allowed: bool = True
    url: str = ""
    conferencing: Conferencing = NOT_ONLINE
    attachments: tuple[Attachment, ...] = ()
    instance_of: datetime | None = None
    """Aware UTC: when this one occurrence of a series was to begin, if the series itself is not here."""
    recurrence: Recurrence | None = None
    clock: time | None = None
    """What the wall clock of a series reads if `start` cannot say it: the first occurrence is in an hour left out."""
    deleted: tuple[date, ...] = ()
    """Days, in the zone, of occurrences that are no more; in order."""
    modified: tuple[ModifiedOccurrence, ...] = ()
    """By day, in order."""

    @property
    def is_meeting(self) -> bool:
        """Whether anybody else is concerned."""
        return bool(self.state & State.MEETING)

    @property
    def is_canceled(self) -> bool:
        """Whether the organizer has called it off."""
        return int(self.state) & 4 != 0  # an IntFlag's own & costs a microsecond, and free/busy asks thousands of times


class ModifiedOccurrence(msgspec.Struct, frozen=True):
    """One occurrence that differs: complete, with `recurrence` None; `day` is the one it came from."""

    day: date
    item: Appointment


class TaskStatus(Enum):
    """EWS's names (MS-OXOTASK 2.2.2.2.2)."""

    NOT_STARTED = 0
    IN_PROGRESS = 1
    COMPLETED = 2
    WAITING = 3
    DEFERRED = 4


class Task(msgspec.Struct, frozen=True, kw_only=True):
    """Something to do; start and due are days (MS-OXOTASK)."""

    uid: str
    subject: str = ""
    text: str = ""
    start: date | None = None
    due: date | None = None
    completed_at: datetime | None = None
    status: TaskStatus = TaskStatus.NOT_STARTED
    percent: int = 0
    importance: Importance = Importance.NORMAL
    sensitivity: Sensitivity = Sensitivity.NORMAL
    categories: tuple[str, ...] = ()
    reminder_at: datetime | None = None
    recurrence: Recurrence | None = None
    modified_at: datetime | None = None

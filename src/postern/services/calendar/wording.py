"""What meeting messages say to people, in English and Russian."""

from __future__ import annotations

from datetime import date, datetime

from postern.model.calendar.appointment import Appointment, Response
from postern.model.calendar.recurrence import Kind, Pattern
from postern.model.calendar.zones import to_wall
from postern.services.calendar.booking import Cause
from postern.services.calendar.outgoing import Method, Outgoing

LANGUAGES = ("en", "ru")
_SUBJECT = {
    "en": {
        Response.ACCEPTED: "Accepted: ",
        Response.TENTATIVE: "Tentative: ",
        Response.DECLINED: "Declined: ",
        Method.CANCEL: "Canceled: ",
        Method.COUNTER: "New Time Proposed: ",
        Method.DECLINE_COUNTER: "Proposal Declined: ",
        "update": "Updated: ",
        "forward": "FW: ",
        "forwarded": "Meeting Forward Notification: ",
    },
    "ru": {
        Response.ACCEPTED: "Принято: ",
        Response.TENTATIVE: "Под вопросом: ",
        Response.DECLINED: "Отклонено: ",
        Method.CANCEL: "Отменено: ",
        Method.COUNTER: "Предложено новое время: ",
        Method.DECLINE_COUNTER: "Предложение отклонено: ",
        "update": "Обновлено: ",
        "forward": "FW: ",
        "forwarded": "Приглашение переслано: ",
    },
}
_WORDS = {
    "en": {"when": "When", "where": "Where", "who": "Organizer", "day": "all day", "repeats": "Repeats"},
    "ru": {"when": "Когда", "where": "Где", "who": "Организатор", "day": "весь день", "repeats": "Повторяется"},
}
_UNITS = {
    "en": {"daily": "days", "weekly": "weeks", "monthly": "months", "yearly": "years"},
    "ru": {"daily": "дн.", "weekly": "нед.", "monthly": "мес.", "yearly": "г."},
}
_ONE = {
    "en": {"daily": "every day", "weekly": "every week", "monthly": "every month", "yearly": "every year"},
    "ru": {"daily": "каждый день", "weekly": "каждую неделю", "monthly": "каждый месяц", "yearly": "каждый год"},
}
_CAUSES = {
    Cause.CONFLICT: ("It is already booked at that time.", "На это время уже есть бронирование."),
    Cause.SOME_CONFLICTS: (
        "Some occurrences are already booked and were declined; they are listed below.",
        "Часть повторений приходится на занятое время и отклонена; их список ниже.",
    ),
    Cause.TOO_FAR: (
        "It can not be booked that far ahead.",
        "Бронирование на столь далёкий срок невозможно.",
    ),
    Cause.ENDLESS: (
        "A series without an end can not be booked; choose an end date.",
        "Серию без даты окончания забронировать нельзя; укажите дату окончания.",
    ),
    Cause.TOO_LONG: ("The meeting is too long.", "Собрание слишком продолжительное."),
    Cause.OUTSIDE_HOURS: ("It can be booked in working hours only.", "Бронирование возможно только в рабочее время."),
    Cause.RECURRING: ("Recurring meetings are not accepted.", "Повторяющиеся собрания не принимаются."),
    Cause.IN_THE_PAST: ("The time has passed.", "Это время уже прошло."),
    Cause.NOT_ALLOWED: ("You may not book it.", "У вас нет права бронирования."),
    Cause.EXTERNAL: (
        "It can be booked from within the organisation only.",
        "Бронирование возможно только внутри организации.",
    ),
    Cause.NEEDS_APPROVAL: (
        "The request waits for a person to approve it.",
        "Запрос ожидает одобрения ответственного лица.",
    ),
}


def known(language: str) -> str:
    """`ru` or `en`."""
    return "ru" if language.lower().startswith("ru") else "en"


def cause(reason: Cause, language: str) -> str:
    """A sentence for the organizer."""
    return _CAUSES[reason][known(language) == "ru"]


def subject(message: Outgoing, language: str) -> str:
    """With the prefix of the kind, once."""
    table = _SUBJECT[known(language)]
    if message.forwarded_to or message.forwarded:
        prefix = table["forwarded" if message.forwarded_to else "forward"]
    elif message.method is Method.REPLY:
        prefix = table.get(message.response, "")
    elif message.method is Method.REQUEST:
        prefix = table["update"] if message.update else ""
    else:
        prefix = table.get(message.method, "")
    bare = message.item.subject
    return bare if bare.startswith(prefix) else prefix + bare


def forwarded(message: Outgoing, language: str) -> str:
    """What the organizer is told of a request that was passed on."""
    who = (message.sender.name or message.sender.address) if message.sender is not None else ""
    rows = [f"- {each.name} <{each.address}>" if each.name else f"- {each.address}" for each in message.forwarded_to]
    said = (
        f"{who} переслал(а) ваше приглашение на собрание:"
        if known(language) == "ru"
        else f"{who} has forwarded your meeting request to:"
    )
    return "\n".join([said, *rows])


def when(item: Appointment, language: str) -> str:
    """`Saturday, 28 November 2026, 10:00 - 11:00 (Europe/Berlin)`."""
    locale = known(language)
    start, end = to_wall(item.start, item.zone), to_wall(item.end, item.zone)
    first = day(start, locale)
    if item.all_day:
        return f"{first}, {_WORDS[locale]['day']}"
    last = "" if start.date() == end.date() else day(end, locale) + ", "
    zone = f" ({item.zone.windows_id or item.zone.id})" if not item.zone.floating else ""
    return f"{first}, {clock(start, locale)} – {last}{clock(end, locale)}{zone}"


def day(at: date, locale: str) -> str:
    """`Saturday, 28 November 2026`."""
    from babel.dates import format_date  # a server that writes to nobody about meetings has no use for it

    return str(format_date(at, "full", locale=locale))


def clock(at: datetime, locale: str) -> str:
    """`10:00`."""
    from babel.dates import format_time

    return str(format_time(at, "short", locale=locale))


def repeats(pattern: Pattern, language: str) -> str:
    """`every 2 weeks`."""
    locale = known(language)
    if pattern.interval == 1 or pattern.kind is Kind.DAILY_REGENERATION:
        return _ONE[locale][pattern.kind.unit]
    every = "every" if locale == "en" else "каждые"
    return f"{every} {pattern.interval} {_UNITS[locale][pattern.kind.unit]}"


def summary(item: Appointment, language: str) -> list[tuple[str, str]]:
    """Rows of heading and value for a message's text."""
    words = _WORDS[known(language)]
    rows = [(words["when"], when(item, language))]
    if item.recurrence is not None:
        rows.append((words["repeats"], repeats(item.recurrence.pattern, language)))
    if item.location:
        rows.append((words["where"], item.location))
    if item.organizer is not None:
        rows.append((words["who"], item.organizer.name or item.organizer.address))
    return rows

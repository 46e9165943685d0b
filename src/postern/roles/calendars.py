"""Calendars of one worker: what every protocol opens them by, and the assistant that meeting mail sets off."""

from __future__ import annotations

from postern.roles.parts import Parts
from postern.services.assistants.runner import OutboxRunner
from postern.services.calendar.agenda import Agendas
from postern.services.calendar.meeting_mail import SET_OFF
from postern.services.calendar.posting import Post
from postern.services.calendar.secretary import Secretary
from postern.services.calendar.shelf import Shelf
from postern.services.mailboxes import Mailboxes
from postern.services.mailflow import Mailflow


def calendars(parts: Parts, mailflow: Mailflow, mailboxes: Mailboxes, assistants: OutboxRunner) -> Agendas:
    """The worker's calendars; their assistant is among the others from now on."""
    post = Post(mailflow, parts.directory, parts.clock, parts.entropy, parts.settings.server.hostname)
    agendas = Agendas(mailboxes, parts.store, parts.directory, post, Shelf(), parts.clock, parts.entropy)
    assistants.register(SET_OFF, Secretary(agendas).handle)
    return agendas

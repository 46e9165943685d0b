"""What follows from what a client sets on contacts, lists and tasks."""

from __future__ import annotations

from typing import Any

from postern.frontends.ews.call import Call
from postern.protocols.ews import contact_fields, task_fields
from postern.protocols.ews.attachment_requests import NewAttachment
from postern.protocols.ews.thing_drafting import ThingDraft


def settled(call: Call, draft: ThingDraft, owner: str) -> dict[str, Any] | None:
    """Make what follows from what was set; of a task the one that was done, if it goes on. Raises EwsViolation."""
    values = draft.properties
    if draft.element == "Contact":
        filed = contact_fields.filed_as(values)
        if filed is not None and contact_fields.FILE_AS not in draft.set:
            draft.put({contact_fields.FILE_AS: filed or None})
        name = values.get("PidTagDisplayName")
        if "PidTagSubject" not in draft.set:
            shown = name or draft.properties.get(contact_fields.FILE_AS)
            draft.put({"PidTagSubject": shown or values.get("PidTagSubject")})
        photo = [one for one in draft.attachments if is_photo(one)]
        if photo:
            draft.put({contact_fields.PHOTO: True})
    elif draft.element == "DistributionList":
        name = values.get("PidLidDistributionListName")
        if name and "PidTagSubject" not in draft.set:
            draft.put({"PidTagSubject": name})
    elif draft.element == "Task":
        draft.reminder()
        whole = draft.properties
        whole.setdefault("PidLidTaskOwner", owner)
        whole[task_fields.VERSION] = int(draft.before.get(task_fields.VERSION, 0)) + 1
        finished = task_fields.settle(whole, draft.set, call.services.clock.now().date())
        draft.put({key: whole.get(key) for key in whole.keys() | draft.before.keys()})
        return finished
    return None


def is_photo(one: NewAttachment) -> bool:
    """Outlook's and EWS's mark of a contact's picture."""
    return one.photo or one.name.lower() == "contactphoto.jpg"

"""GetInboxRules and UpdateInboxRules (MS-OXWSRULES 3.1.4): the rules that services.rules follows at delivery."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import groupby

import msgspec

from postern.frontends.ews import places
from postern.frontends.ews.box import Box
from postern.frontends.ews.call import Call
from postern.model.actions import Target
from postern.model.ids import ItemId
from postern.model.refusal import Reason, Refusal
from postern.model.rules import InboxRule
from postern.protocols.ews import ids, responses
from postern.protocols.ews.folder_xml import identity
from postern.protocols.ews.ids import FolderKey, ItemKey
from postern.protocols.ews.places import AnyFolder, DistinguishedRef, FolderRef
from postern.protocols.ews.rule_fields import Fault, Shown
from postern.protocols.ews.rule_requests import Draft, RuleOperation, UpdateRules
from postern.protocols.ews.rule_xml import errors_xml, rule_xml, sayable
from postern.protocols.ews.violation import EwsViolation
from postern.services.rules.placing import Folders
from postern.services.rules.rulebook import RuleBook, check_rule

_GET, _UPDATE = "GetInboxRulesResponse", "UpdateInboxRulesResponse"
_KEY_BYTES = 8
_INBOX = '<t:DistinguishedFolderId Id="inbox"/>'


async def get_inbox_rules(call: Call, address: str) -> str:
    """GetInboxRules, of one's own mailbox or of one that one has full access to."""

    async def one(address: str) -> str:
        box, book = await _open(call, address)
        folders = Folders(list((await box.folders()).values()))
        rows = [rule_xml(await _shown(box, folders, key, rule)) for key, rule in (await book.rules()).items()]
        return f"<m:OutlookRuleBlobExists>false</m:OutlookRuleBlobExists><m:InboxRules>{''.join(rows)}</m:InboxRules>"

    return responses.alone(await call.each(_GET, [address], one))


async def _open(call: Call, address: str) -> tuple[Box, RuleBook]:
    box = await call.box_of(address)
    return box, await call.services.rules.open(call.principal, box.id)


async def _shown(box: Box, folders: Folders, key: str, rule: InboxRule) -> Shown:
    actions = rule.actions
    targets: dict[str, str] = {}
    in_error = False
    supported = all(sayable(each) for each in (rule.conditions, rule.exceptions, actions))
    for element, target in (("CopyToFolder", actions.copy_to_folder), ("MoveToFolder", actions.move_to_folder)):
        if target is None:
            continue
        found = folders.find(target)
        if found is None and target.create:
            supported = False  # a folder that comes into being when it is needed has no id yet
        in_error |= found is None and not target.create
        number = target.folder if found is None else found
        # a rule whose folder is gone puts mail into the Inbox
        named = _INBOX if number is None else identity("FolderId", ids.folder_id(FolderKey(box.id, number)), "")
        targets[element] = named
    if actions.reply_with_item is not None:
        item = ItemId(actions.reply_with_item)
        where = (await box.items.locate([item])).get(item)
        in_error |= where is None
        if where is not None:
            targets["ServerReplyWithMessage"] = ids.item_id(ItemKey(box.id, where[0], item))
    return Shown(key, rule, targets, in_error, supported)


async def update_inbox_rules(call: Call, request: UpdateRules) -> str:
    """UpdateInboxRules: all operations or none; durable."""

    async def one(asked: UpdateRules) -> str:
        box, book = await _open(call, asked.address)
        known, as_of = await book.rules_as_of()
        plan = _Plan(call, box, asked.address, known)
        for number, operation in enumerate(asked.operations):
            await plan.take(number, operation)
        if plan.faults:
            said = "A rule is not valid; nothing was changed."
            return responses.error(_UPDATE, "ErrorInboxRulesValidationError", said, errors_xml(plan.faults))
        try:
            await book.change_rules(plan.changes(), as_of)
        except Refusal as refusal:
            if refusal.reason is Reason.TOO_MANY:
                raise EwsViolation("ErrorRulesOverQuota", "A mailbox cannot have so many rules.") from refusal
            raise
        return ""

    return responses.alone(await call.each(_UPDATE, [request], one))


class _Plan:
    """What a request makes of the rules that there are."""

    def __init__(self, call: Call, box: Box, address: str, known: Mapping[str, InboxRule]) -> None:
        self._call = call
        self._box = box
        self._address = address
        self._known = known
        self._new: dict[str, InboxRule] = {}
        self._gone: set[str] = set()
        self.faults: dict[int, list[Fault]] = {}
        """By the place of the operation in the request."""

    async def take(self, number: int, operation: RuleOperation) -> None:
        """One more operation. Raises Refusal."""
        faults = list(self._about_id(operation))
        rule = None
        if operation.draft is not None:
            rule = await self._rule(operation.draft, faults)
            if any(one.priority == rule.priority for one in self._new.values()):
                said = "Two rules of the request have the same priority."
                faults.append(Fault("Priority", "DuplicatedPriority", said, str(rule.priority)))
        if faults:
            self.faults[number] = faults
        elif rule is None:
            self._gone.add(operation.id)
        else:
            self._new[operation.id or self._call.services.entropy.token(_KEY_BYTES).hex()] = rule

    def _about_id(self, operation: RuleOperation) -> Iterator[Fault]:
        if operation.kind == "create":
            if operation.id:
                yield Fault("RuleId", "CreateWithRuleId", "A new rule is given its id.", operation.id)
        elif not operation.id:
            yield Fault("RuleId", "MissingParameter", "Which rule it is, is not said.")
        elif operation.id in self._new or operation.id in self._gone:
            said = "The request has another operation on that rule."
            yield Fault("RuleId", "DuplicatedOperationOnTheSameRule", said, operation.id)
        elif operation.id not in self._known:
            yield Fault("RuleId", "RuleNotFound", "There is no such rule.", operation.id)

    async def _rule(self, draft: Draft, faults: list[Fault]) -> InboxRule:
        faults += draft.faults
        actions = draft.actions
        for element, field in (("CopyToFolder", "copy_to_folder"), ("MoveToFolder", "move_to_folder")):
            ref = draft.targets.get(element)
            target = None if ref is None else await self._target(element, ref, faults)
            if target is not None:
                actions = msgspec.structs.replace(actions, **{field: target})
        if draft.reply is not None:
            try:
                place = await places.item(self._call, draft.reply)
                if place.box.id != self._box.id:
                    raise EwsViolation("ErrorItemNotFound", "The message is in another mailbox.")
                actions = msgspec.structs.replace(actions, reply_with_item=int(place.item))
            except (EwsViolation, Refusal):
                said = "There is no such message in the mailbox."
                faults.append(Fault("Action:ServerReplyWithMessage", "InvalidValue", said, draft.reply.id))
        rule = InboxRule(draft.name, draft.priority, draft.enabled, draft.conditions, draft.exceptions, actions)
        if not faults:
            try:
                check_rule(rule)
            except Refusal as refusal:
                faults.append(Fault("Actions", "InvalidValue", refusal.detail))
        return rule

    async def _target(self, element: str, ref: AnyFolder, faults: list[Fault]) -> Target | None:
        if isinstance(ref, DistinguishedRef) and not ref.mailbox:
            ref = msgspec.structs.replace(ref, mailbox=self._address)
        code = ""
        try:
            place = await places.stored(self._call, ref)
            if place.box.id == self._box.id:
                folder = await place.box.folder(place.folder)
                return Target(special=folder.special, folder=folder.id)
            code = "InvalidFolderId"
        except EwsViolation as violation:
            code = "FolderDoesNotExist" if violation.code == "ErrorFolderNotFound" else "InvalidFolderId"
        except Refusal:
            code = "FolderDoesNotExist"
        said = "The folder has to be one that holds mail in the same mailbox."
        value = ref.id if isinstance(ref, FolderRef) else ref.name
        faults.append(Fault(f"Action:{element}", code, said, value))
        return None

    def changes(self) -> dict[str, InboxRule | None]:
        """What has to be written: a rule with a new one's priority makes room for it, and keeps its place otherwise."""
        changes: dict[str, InboxRule | None] = dict.fromkeys(self._gone)
        changes |= self._new
        taken = {rule.priority for rule in self._new.values()}
        stay = [(key, rule) for key, rule in self._known.items() if key not in changes]
        last = 0
        for priority, rules in groupby(stay, key=lambda item: item[1].priority):
            last = max(priority, last + 1)
            while last in taken:
                last += 1
            if last != priority:
                changes |= {key: msgspec.structs.replace(rule, priority=last) for key, rule in rules}
        return changes

"""Inbox rules by EWS: what is set is told again, is followed at delivery, and what is wrong is named."""

from __future__ import annotations

import pytest
from test_ews_hostile import fault

from postern.model.actions import Target
from postern.model.rights import MailboxRight
from postern.model.rules import InboxRule, Predicates, RuleActions
from postern.protocols.ews.rule_fields import ACTIONS, ADDRESSES, BOOLEAN, CHOICE, ITEM, PREDICATES, STRINGS, TARGET

GET = "<m:GetInboxRules/>"
READ = "<t:MarkAsRead>true</t:MarkAsRead>"


def strings(name: str, *values: str) -> str:
    return f"<t:{name}>{''.join(f'<t:String>{one}</t:String>' for one in values)}</t:{name}>"


def addresses(name: str, *values: str) -> str:
    inner = "".join(f"<t:Address><t:EmailAddress>{one}</t:EmailAddress></t:Address>" for one in values)
    return f"<t:{name}>{inner}</t:{name}>"


def rule(
    name: str = "Lists",
    priority: int = 1,
    *,
    actions: str = READ,
    conditions: str = "",
    exceptions: str = "",
    more: str = "",
    id_: str = "",
    enabled: str = "true",
) -> str:
    identity = f"<t:RuleId>{id_}</t:RuleId>" if id_ else ""
    inner = "".join(
        f"<t:{element}>{given}</t:{element}>"
        for element, given in (("Conditions", conditions), ("Exceptions", exceptions), ("Actions", actions))
        if given
    )
    return (
        f"<t:Rule>{identity}<t:DisplayName>{name}</t:DisplayName><t:Priority>{priority}</t:Priority>"
        f"<t:IsEnabled>{enabled}</t:IsEnabled>{more}{inner}</t:Rule>"
    )


def create(*rules: str) -> str:
    return "".join(f"<t:CreateRuleOperation>{one}</t:CreateRuleOperation>" for one in rules)


def update(operations: str, address: str = "") -> str:
    whose = f"<m:MailboxSmtpAddress>{address}</m:MailboxSmtpAddress>" if address else ""
    return (
        f"<m:UpdateInboxRules>{whose}<m:RemoveOutlookRuleBlob>true</m:RemoveOutlookRuleBlob>"
        f"<m:Operations>{operations}</m:Operations></m:UpdateInboxRules>"
    )


def change(id_: str, given: str = READ, priority: int = 1) -> str:
    return f"<t:SetRuleOperation>{rule(id_=id_, actions=given, priority=priority)}</t:SetRuleOperation>"


def delete(id_: str) -> str:
    return f"<t:DeleteRuleOperation><t:RuleId>{id_}</t:RuleId></t:DeleteRuleOperation>"


async def order(client) -> list[tuple[str, str]]:
    told = await client.single(GET)
    return list(zip(told.texts("//t:DisplayName"), told.texts("//t:Priority"), strict=True))


async def faults(client, operations: str) -> list[tuple[str, str, str]]:
    """Operation, field and code of each error of a request that changed nothing."""
    before = await order(client)
    reply = await client.ask(update(operations))
    assert reply.body.get("ResponseClass") == "Error"
    assert reply.text("m:ResponseCode") == "ErrorInboxRulesValidationError"
    assert await order(client) == before
    return [(one.xpath("string(../../*[1])"), one[0].text, one[1].text) for one in reply.all("//t:Error")]


async def test_nobody_has_rules_at_first(anna):
    told = await anna.single(GET)
    assert told.text("//m:OutlookRuleBlobExists") == "false"
    assert len(told.all("//m:InboxRules")) == 1 and not told.all("//t:Rule")


def everything(folder: str, message: str) -> tuple[str, str]:
    """All conditions and all actions that there are, but what is refused."""
    refused = {"FromConnectedAccounts", "IsApprovalRequest", "SendSMSAlertToRecipients"}
    conditions, actions = "", ""
    for rows in (PREDICATES, ACTIONS):
        made = ""
        for row in rows:
            if row.element in refused:
                continue
            if row.kind == STRINGS:
                made += strings(row.element, f"{row.element} &amp; one", "two")
            elif row.kind == ADDRESSES:
                made += addresses(row.element, f"{row.element.lower()}@example.net", "other@example.net")
            elif row.kind == BOOLEAN:
                made += f"<t:{row.element}>true</t:{row.element}>"
            elif row.kind == CHOICE:
                made += f"<t:{row.element}>{row.choices[-1]}</t:{row.element}>"
            elif row.kind == TARGET:
                made += f'<t:{row.element}><t:FolderId Id="{folder}"/></t:{row.element}>'
            elif row.kind == ITEM:
                made += f'<t:{row.element} Id="{message}"/>'
        if rows is PREDICATES:
            made += (
                "<t:WithinDateRange><t:StartDateTime>2026-01-01T00:00:00Z</t:StartDateTime>"
                "<t:EndDateTime>2026-02-01T00:00:00Z</t:EndDateTime></t:WithinDateRange>"
                "<t:WithinSizeRange><t:MinimumSize>1</t:MinimumSize><t:MaximumSize>2</t:MaximumSize></t:WithinSizeRange>"
            )
            conditions = made
        else:
            actions = made
    return conditions, actions


async def test_everything_is_told_as_it_was_set(anna, world):
    folder = await anna.folder("Lists")
    message, _ = await anna.save("<t:Subject>I am away</t:Subject>")
    conditions, actions = everything(folder, message)
    given = rule(conditions=conditions, exceptions=conditions, actions=actions, enabled="false", priority=7)
    await anna.single(update(create(given)))
    told = (await anna.single(GET)).one("//t:Rule")

    def plain(element) -> list:
        # a name is told for each address, which was not given
        return [
            (one.tag, (one.text or "").strip(), dict(one.attrib))
            for one in element.iter()
            if one.tag.rpartition("}")[2] not in ("Name", "RoutingType")
        ]

    asked = anna.envelope(update(create(given)))
    from lxml import etree

    sent = etree.fromstring(asked).find(".//{*}Rule")
    for name in ("Conditions", "Exceptions", "Actions"):
        assert plain(told.find(f"{{*}}{name}")) == plain(sent.find(f"{{*}}{name}"))
    assert told.findtext("{*}IsEnabled") == "false" and told.findtext("{*}Priority") == "7"
    assert told.find("{*}IsInError") is None and told.find("{*}IsNotSupported") is None
    stored = await (await world.services.rules.open(anna.principal)).rules()
    (kept,) = stored.values()
    assert kept.conditions.minimum_kib == 1 and kept.actions.reply_with_item is not None
    assert kept.conditions == kept.exceptions and kept.conditions.contains_header_strings[1] == "two"


async def test_a_rule_is_followed_at_delivery(anna):
    folder = await anna.folder("Bills")
    actions = (
        strings("AssignCategories", "Money")
        + READ
        + f'<t:MoveToFolder><t:FolderId Id="{folder}"/></t:MoveToFolder><t:StopProcessingRules>true</t:StopProcessingRules>'
    )
    trash = '<t:MoveToFolder><t:DistinguishedFolderId Id="deleteditems"/></t:MoveToFolder>'
    wanted = strings("ContainsSubjectStrings", "bill")
    await anna.single(
        update(
            create(
                rule("Rest", 2, actions=trash, conditions=addresses("FromAddresses", "outside@example.net")),
                rule("Bills", 1, actions=actions, conditions=wanted, exceptions=strings("ContainsBodyStrings", "paid")),
            )
        )
    )
    head = "From: Outside <outside@example.net>\nTo: anna@example.org\nSubject: Your BILL\n\n"
    await anna.mailed(f"{head}To pay\n")
    await anna.mailed(f"{head}Already paid\n")
    assert len((await anna.find("inbox")).ids()) == 0
    assert len((await anna.find("deleteditems")).ids()) == 1
    shape = "<m:ItemShape><t:BaseShape>AllProperties</t:BaseShape></m:ItemShape>"
    found = await anna.ask(
        f'<m:FindItem Traversal="Shallow">{shape}<m:ParentFolderIds><t:FolderId Id="{folder}"/></m:ParentFolderIds>'
        "</m:FindItem>"
    )
    assert found.text("//t:Categories/t:String") == "Money" and found.text("//t:IsRead") == "true"


@pytest.mark.parametrize(
    ("flag", "asked"), [("Follow up", "FollowUp"), ("For Your Information", "FYI"), ("Reply to All", "ReplyToAll")]
)
async def test_what_is_to_be_done_with_it_is_known_by_each_name(anna, flag, asked):
    await anna.single(
        update(
            create(
                rule(
                    conditions=f"<t:FlaggedForAction>{asked}</t:FlaggedForAction>",
                    actions="<t:Delete>true</t:Delete>",
                )
            )
        )
    )
    await anna.mailed(f"From: o@example.net\nTo: anna@example.org\nX-Message-Flag: {flag}\nSubject: x\n\ny\n")
    await anna.mailed("From: o@example.net\nTo: anna@example.org\nX-Message-Flag: Call\nSubject: x\n\ny\n")
    assert [len((await anna.find(one)).ids()) for one in ("deleteditems", "inbox")] == [1, 1]


async def test_set_replaces_and_delete_removes(anna):
    await anna.single(update(create(rule("One", conditions=strings("Categories", "x")), rule("Two", 2))))
    one, two = (await anna.single(GET)).texts("//t:RuleId")
    await anna.single(update(change(one, "<t:Delete>true</t:Delete>") + delete(two)))
    told = await anna.single(GET)
    assert told.texts("//t:RuleId") == [one]
    assert not told.all("//t:Conditions") and not told.all("//t:MarkAsRead") and told.text("//t:Delete") == "true"


async def test_a_new_rule_takes_its_place_and_the_others_make_room(anna):
    await anna.single(update(create(rule("A", 1), rule("B", 2), rule("C", 5))))
    await anna.single(update(create(rule("First", 1))))
    assert await order(anna) == [("First", "1"), ("A", "2"), ("B", "3"), ("C", "5")]
    last = (await anna.single(GET)).texts("//t:RuleId")[-1]
    await anna.single(update(change(last, priority=2)))
    assert [name for name, _ in await order(anna)] == ["First", "Lists", "A", "B"]


@pytest.mark.parametrize(
    ("given", "field", "code"),
    [
        (rule(id_="mine"), "RuleId", "CreateWithRuleId"),
        (rule(name=" "), "DisplayName", "EmptyValueFound"),
        (rule(name="n" * 257), "DisplayName", "StringValueTooBig"),
        (rule(priority=0), "Priority", "InvalidValue"),
        (rule(more="<t:IsInError>true</t:IsInError>"), "IsInError", "NotSettable"),
        (rule(more="<t:IsNotSupported>true</t:IsNotSupported>"), "IsNotSupported", "NotSettable"),
        (rule(actions=""), "Actions", "MissingAction"),
        (rule(actions="<t:Delete>false</t:Delete>"), "Actions", "MissingAction"),
        (rule(conditions=strings("Categories")), "Condition:Categories", "EmptyValueFound"),
        (rule(exceptions=strings("ContainsBodyStrings", "")), "Exception:ContainsBodyStrings", "EmptyValueFound"),
        (rule(conditions=strings("ItemClasses", "x" * 1025)), "Condition:ItemClasses", "StringValueTooBig"),
        (rule(conditions=addresses("FromAddresses", "nobody")), "Condition:FromAddresses", "InvalidAddress"),
        (
            rule(
                conditions="<t:SentToAddresses><t:Address><t:EmailAddress>/o=x/cn=y</t:EmailAddress>"
                "<t:RoutingType>EX</t:RoutingType></t:Address></t:SentToAddresses>"
            ),
            "Condition:SentToAddresses",
            "UnsupportedAddress",
        ),
        (
            rule(conditions=strings("FromConnectedAccounts", "x")),
            "Condition:FromConnectedAccounts",
            "ConnectedAccountNotFound",
        ),
        (
            rule(conditions="<t:IsApprovalRequest>true</t:IsApprovalRequest>"),
            "Condition:IsApprovalRequest",
            "UnsupportedRule",
        ),
        (
            rule(actions=addresses("SendSMSAlertToRecipients", "1@example.net")),
            "Action:SendSMSAlertToRecipients",
            "UnsupportedRule",
        ),
        (rule(conditions="<t:WithinDateRange/>"), "Condition:WithinDateRange", "MissingRangeValue"),
        (
            rule(
                conditions="<t:WithinDateRange><t:StartDateTime>2026-02-01T00:00:00Z</t:StartDateTime>"
                "<t:EndDateTime>2026-01-01T00:00:00Z</t:EndDateTime></t:WithinDateRange>"
            ),
            "Condition:WithinDateRange",
            "InvalidDateRange",
        ),
        (rule(conditions="<t:WithinSizeRange/>"), "Condition:WithinSizeRange", "MissingRangeValue"),
        (
            rule(conditions="<t:WithinSizeRange><t:MinimumSize>-1</t:MinimumSize></t:WithinSizeRange>"),
            "Condition:WithinSizeRange",
            "SizeLessThanZero",
        ),
        (
            rule(
                exceptions="<t:WithinSizeRange><t:MinimumSize>9</t:MinimumSize><t:MaximumSize>8</t:MaximumSize>"
                "</t:WithinSizeRange>"
            ),
            "Exception:WithinSizeRange",
            "InvalidSizeRange",
        ),
        (
            rule(actions='<t:MoveToFolder><t:DistinguishedFolderId Id="msgfolderroot"/></t:MoveToFolder>'),
            "Action:MoveToFolder",
            "InvalidFolderId",
        ),
        (
            rule(actions='<t:CopyToFolder><t:FolderId Id="rubbish"/></t:CopyToFolder>'),
            "Action:CopyToFolder",
            "InvalidFolderId",
        ),
        (
            rule(actions='<t:MoveToFolder><t:AddressListId Id="x"/></t:MoveToFolder>'),
            "Action:MoveToFolder",
            "InvalidFolderId",
        ),
        (
            rule(actions='<t:ServerReplyWithMessage Id="rubbish"/>'),
            "Action:ServerReplyWithMessage",
            "InvalidValue",
        ),
    ],
    ids=lambda value: "" if len(value) > 40 else value,
)
async def test_what_is_wrong_is_named_and_nothing_is_done(anna, given, field, code):
    assert await faults(anna, create(rule("Good", 3), given)) == [("1", field, code)]


async def test_folders_that_are_gone_or_somebody_elses(anna, boris):
    folder = await anna.folder("Gone")
    move = f'<t:MoveToFolder><t:FolderId Id="{folder}"/></t:MoveToFolder>'
    await anna.single(update(create(rule(actions=move))))
    await anna.ask(
        f'<m:DeleteFolder DeleteType="HardDelete"><m:FolderIds><t:FolderId Id="{folder}"/></m:FolderIds></m:DeleteFolder>'
    )
    told = await anna.single(GET)
    assert told.text("//t:IsInError") == "true"
    assert told.one("//t:MoveToFolder/t:FolderId").get("Id") == folder
    missing = [("0", "Action:MoveToFolder", "FolderDoesNotExist")]
    assert await faults(anna, create(rule(actions=move))) == missing
    other = await boris.folder("Mine")
    theirs = f'<t:MoveToFolder><t:FolderId Id="{other}"/></t:MoveToFolder>'
    assert await faults(anna, create(rule(actions=theirs))) == missing
    await anna.mailed("From: o@example.net\nTo: anna@example.org\nSubject: x\n\ny\n")
    assert len((await anna.find("inbox")).ids()) == 1


async def test_operations_on_rules_that_are_not_there_or_twice(anna):
    await anna.single(update(create(rule())))
    (known,) = (await anna.single(GET)).texts("//t:RuleId")
    assert await faults(anna, change("nothing")) == [("0", "RuleId", "RuleNotFound")]
    assert await faults(anna, delete("nothing")) == [("0", "RuleId", "RuleNotFound")]
    assert await faults(anna, delete("")) == [("0", "RuleId", "MissingParameter")]
    assert await faults(anna, delete(known) + change(known)) == [("1", "RuleId", "DuplicatedOperationOnTheSameRule")]
    assert await faults(anna, create(rule("A", 3), rule("B", 3))) == [("1", "Priority", "DuplicatedPriority")]


async def test_only_who_has_full_access_sees_and_sets_anothers(anna, boris, world):
    await anna.single(update(create(rule("Mine"))))
    asked = "<m:GetInboxRules><m:MailboxSmtpAddress>anna@example.org</m:MailboxSmtpAddress></m:GetInboxRules>"
    for body in (asked, update(create(rule()), "anna@example.org")):
        reply = await boris.ask(body)
        assert reply.text("//m:ResponseCode") == "ErrorAccessDenied"
    nobody = await anna.ask(asked.replace("anna@", "nobody@"))
    assert nobody.text("//m:ResponseCode") == "ErrorNonExistentMailbox"
    directory = world.parts.directory
    await directory.grant(anna.principal.mailbox, "boris@example.org", MailboxRight.FULL_ACCESS)
    assert (await boris.single(asked)).text("//t:DisplayName") == "Mine"
    move = '<t:MoveToFolder><t:DistinguishedFolderId Id="junkemail"/></t:MoveToFolder>'
    await boris.single(update(create(rule("By Boris", 2, actions=move)), "anna@example.org"))
    assert await order(anna) == [("Mine", "1"), ("By Boris", "2")]
    assert await order(boris) == []


async def test_rules_of_other_programs_are_shown_as_far_as_there_are_words(anna, world):
    book = await world.services.rules.open(anna.principal)
    made = InboxRule(
        "Odd",
        conditions=Predicates(importance="Urgent", from_connected_accounts=("pop",)),
        actions=RuleActions(move_to_folder=Target("New/Folder", create=True), copy_to_folder=Target("INBOX")),
    )
    await book.change_rules({"odd": made, "lost": InboxRule("Lost", 2, actions=RuleActions(reply_with_item=999_999))})
    told = await anna.single(GET)
    assert told.texts("//t:RuleId") == ["odd", "lost"]
    assert told.texts("//t:IsNotSupported") == ["true"] and told.texts("//t:IsInError") == ["true"]
    assert told.text("//t:FromConnectedAccounts/t:String") == "pop"


async def test_too_many_rules_and_old_versions(anna, monkeypatch):
    monkeypatch.setattr("postern.services.rules.rulebook.MAX_RULES", 2)
    reply = await anna.ask(update(create(rule("A", 1), rule("B", 2), rule("C", 3))))
    assert reply.text("//m:ResponseCode") == "ErrorRulesOverQuota"
    unknown = update(create(rule(conditions="<t:Unheard>true</t:Unheard>")))
    assert await fault(anna, anna.envelope(unknown)) == "ErrorSchemaValidation"
    anna.version = "Exchange2010"
    assert await fault(anna, anna.envelope(GET)) == "ErrorInvalidOperation"

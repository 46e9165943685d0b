"""Conversations: found by folder, read as trees, acted upon now and for what is to come (MS-OXWSCONV)."""

from __future__ import annotations

import base64

import pytest

from postern.model.items import Flag, SpecialUse

PARENT = '<m:ParentFolderId><t:DistinguishedFolderId Id="{}"/></m:ParentFolderId>'


def mail(number: int, answers: int = 0, subject: str = "plan", sender: str = "boris", more: str = "") -> bytes:
    reply = f"In-Reply-To: <{answers}@x.example>\r\nReferences: <1@x.example>\r\n" if answers else ""
    return (
        f"From: {sender.capitalize()} <{sender}@example.org>\r\nTo: anna@example.org\r\n"
        f"Subject: {'Re: ' if answers else ''}{subject}\r\nMessage-ID: <{number}@x.example>\r\n{reply}{more}"
        "Date: Tue, 14 Nov 2023 22:13:20 +0000\r\n\r\nWhat about it?\r\n"
    ).encode()


async def find_conversations(client, folder="inbox", more="", attributes="", after=""):
    reply = await client.ask(
        f"<m:FindConversation{attributes}>{more}{PARENT.format(folder)}{after}</m:FindConversation>"
    )
    return reply


def code(reply) -> str:
    return reply.body.findtext("{*}ResponseCode") or reply.codes[0]


async def get_items(client, *ids, more="", order="", shape="IdOnly", state=""):
    wanted = "".join(
        f'<t:Conversation><t:ConversationId Id="{one}"/>{f"<t:SyncState>{state}</t:SyncState>" if state else ""}'
        "</t:Conversation>"
        for one in ids
    )
    sort = f"<m:SortOrder>{order}</m:SortOrder>" if order else ""
    return await client.ask(
        f"<m:GetConversationItems><m:ItemShape><t:BaseShape>{shape}</t:BaseShape></m:ItemShape>{more}{sort}"
        f"<m:Conversations>{wanted}</m:Conversations></m:GetConversationItems>"
    )


async def act(client, action, id_, more=""):
    return await client.ask(
        "<m:ApplyConversationAction><m:ConversationActions><t:ConversationAction>"
        f'<t:Action>{action}</t:Action><t:ConversationId Id="{id_}"/>{more}'
        "</t:ConversationAction></m:ConversationActions></m:ApplyConversationAction>"
    )


@pytest.fixture
async def talk(anna):
    """Three messages of one conversation in two folders, and one of another."""
    await anna.deliver(mail(1))
    await anna.deliver(mail(2, 1, sender="chen"), flags=Flag.SEEN | Flag.FLAGGED)
    await anna.deliver(mail(3, 2, sender="anna"), SpecialUse.SENT, Flag.SEEN)
    await anna.deliver(mail(9, subject="lunch"))
    found = await find_conversations(anna)
    ids = {
        one.findtext("{*}ConversationTopic"): one.find("{*}ConversationId").get("Id")
        for one in found.all("//t:Conversation")
    }
    return ids["plan"], ids["lunch"]


async def test_items_tell_their_conversation(anna, talk):
    reply = (await anna.find(shape="AllProperties")).ok()
    assert sorted(reply.texts("//t:ConversationTopic")) == ["lunch", "plan", "plan"]
    ids = [one.get("Id") for one in reply.all("//t:ConversationId")]
    assert sorted(ids) == sorted([talk[0], talk[0], talk[1]])
    roots = {base64.b64decode(one)[6:22] for one in reply.texts("//t:ConversationIndex")}
    assert len(roots) == 2


async def test_the_conversations_of_a_folder(anna, talk):
    reply = await find_conversations(anna)
    assert code(reply) == "NoError"
    assert reply.text("//m:TotalConversationsInView") == "2"
    plan = next(one for one in reply.all("//t:Conversation") if one.findtext("{*}ConversationTopic") == "plan")

    def told(name: str) -> list[str]:
        element = plan.find(f"{{*}}{name}")
        return [] if element is None else [one.text for one in element] or [element.text]

    assert told("MessageCount") == ["2"] and told("GlobalMessageCount") == ["3"]
    assert told("UnreadCount") == ["1"] and told("GlobalUnreadCount") == ["1"]
    assert set(told("UniqueSenders")) == {"Boris", "Chen"} and set(told("GlobalUniqueSenders")) >= {"Anna"}
    assert told("UniqueUnreadSenders") == ["Boris"]
    assert told("FlagStatus") == ["Flagged"]
    assert told("HasAttachments") == ["false"]
    assert told("ItemClasses") == ["IPM.Note"]
    assert len(plan.find("{*}ItemIds")) == 2 and len(plan.find("{*}GlobalItemIds")) == 3
    assert (await anna.get(*(one.get("Id") for one in plan.find("{*}GlobalItemIds")))).ok()


async def test_pages_orders_and_filters(anna, talk):
    page = '<m:IndexedPageItemView MaxEntriesReturned="1" Offset="{}" BasePoint="Beginning"/>'
    order = (
        '<m:SortOrder><t:FieldOrder Order="{}"><t:FieldURI FieldURI="conversation:{}"/></t:FieldOrder></m:SortOrder>'
    )
    seen = []
    for offset in range(3):
        reply = await find_conversations(anna, more=page.format(offset) + order.format("Descending", "MessageCount"))
        seen += reply.texts("//t:ConversationTopic")
        assert reply.text("//m:TotalConversationsInView") == "2"
    assert seen == ["plan", "lunch"]
    ascending = await find_conversations(anna, more=order.format("Ascending", "UnreadCount"))
    assert len(ascending.all("//t:Conversation")) == 2
    bad = await find_conversations(anna, more=order.format("Ascending", "UniqueSenders"))
    assert code(bad) == "ErrorUnsupportedPathForSortGroup"
    for name, topics in {
        "Flagged": ["plan"], "Unread": ["lunch", "plan"], "ToOrCcMe": ["lunch", "plan"], "HasAttachment": [],
        "TaskActive": ["plan"], "TaskCompleted": [], "TaskOverdue": [], "NoClutter": ["lunch", "plan"], "Clutter": [],
    }.items():  # fmt: skip
        reply = await find_conversations(anna, attributes=f' ViewFilter="{name}"')
        assert sorted(reply.texts("//t:ConversationTopic")) == topics, name
    queried = await find_conversations(anna, after="<m:QueryString>from:chen</m:QueryString>")
    assert queried.texts("//t:ConversationTopic") == ["plan"]
    none = await find_conversations(anna, after="<m:QueryString>from:nobody</m:QueryString>")
    assert none.texts("//t:ConversationTopic") == []
    scoped = await find_conversations(anna, after="<m:MailboxScope>All</m:MailboxScope>")
    assert code(scoped) == "ErrorMailboxScopeNotAllowedWithoutQueryString"


async def test_shapes_and_depth(anna, talk):
    shape = (
        "<m:ConversationShape><t:BaseShape>IdOnly</t:BaseShape><t:AdditionalProperties>"
        '<t:FieldURI FieldURI="conversation:{}"/></t:AdditionalProperties></m:ConversationShape>'
    )
    reply = await find_conversations(anna, after=shape.format("Preview"))
    names = {one.tag.rpartition("}")[2] for conversation in reply.all("//t:Conversation") for one in conversation}
    assert names == {"ConversationId", "Preview"}
    assert set(reply.texts("//t:Preview")) == {"What about it?"}
    wrong = await find_conversations(
        anna, after=shape.format("ConversationId").replace("conversation:ConversationId", "item:Subject")
    )
    assert code(wrong) == "ErrorInvalidPropertyRequest"
    below = await anna.folder("below", '<t:DistinguishedFolderId Id="inbox"/>')
    (first, *_) = (await anna.find()).ids()
    await anna.ask(
        f'<m:CopyItem><m:ToFolderId><t:FolderId Id="{below}"/></m:ToFolderId><m:ItemIds><t:ItemId Id="{first[0]}"/>'
        "</m:ItemIds></m:CopyItem>"
    )
    deep = await find_conversations(anna, attributes=' Traversal="Deep"')
    assert sorted(deep.texts("//t:MessageCount")) in (["1", "3"], ["2", "2"])


async def test_no_such_folder_is_a_response_and_older_versions_have_no_such_operation(anna, boris, talk):
    (folder,) = {one.get("Id") for one in (await anna.find(shape="AllProperties")).all("//t:ParentFolderId")}
    reply = await boris.ask(
        f'<m:FindConversation><m:ParentFolderId><t:FolderId Id="{folder}"/></m:ParentFolderId></m:FindConversation>'
    )
    assert code(reply).startswith("Error")
    assert code(await get_items(boris, talk[0])).startswith("Error")
    assert (await act(boris, "Delete", talk[0])).codes[0].startswith("Error")
    anna.version = "Exchange2010"
    assert (await find_conversations(anna)).codes == ["ErrorInvalidOperation"]


async def test_items_as_a_tree(anna, talk):
    await anna.deliver(mail(4, 1))
    reply = (await get_items(anna, talk[0], talk[1], order="TreeOrderAscending", shape="Default")).ok()
    tree, lunch = reply.all("//m:Conversation")
    names = [one.text for one in tree.findall(".//{*}ConversationNode/{*}InternetMessageId")]
    assert names == [f"<{n}@x.example>" for n in (1, 2, 3, 4)]
    parents = [one.text for one in tree.findall(".//{*}ConversationNode/{*}ParentInternetMessageId")]
    assert parents == [f"<{n}@x.example>" for n in (1, 2, 1)]
    assert len(lunch.findall(".//{*}ConversationNode")) == 1
    backwards = (await get_items(anna, talk[0], order="TreeOrderDescending")).ok()
    assert [one.text for one in backwards.all("//t:InternetMessageId")] == names[::-1]
    few = (await get_items(anna, talk[0], more="<m:MaxItemsToReturn>2</m:MaxItemsToReturn>")).ok()
    assert len(few.all("//t:ConversationNode")) == 2
    ignored = '<m:FoldersToIgnore><t:DistinguishedFolderId Id="sentitems"/></m:FoldersToIgnore>'
    assert len((await get_items(anna, talk[0], more=ignored)).ok().all("//t:ConversationNode")) == 3
    for wrong in ("rubbish", (await anna.find()).ids()[0][0]):
        assert (await get_items(anna, wrong)).codes == ["ErrorInvalidIdMalformed"]


async def test_copies_are_one_node_and_a_state_tells_what_is_new(anna, talk):
    target = await anna.folder("kept")
    destination = f'<t:DestinationFolderId><t:FolderId Id="{target}"/></t:DestinationFolderId>'
    (await act(anna, "Copy", talk[1], destination)).ok()
    reply = (await get_items(anna, talk[1])).ok()
    assert len(reply.all("//t:ConversationNode")) == 1 and len(reply.all("//t:Message")) == 2
    state = reply.text("//t:SyncState")
    assert not (await get_items(anna, talk[1], state=state)).ok().all("//t:ConversationNode")
    (await act(anna, "SetReadState", talk[1], "<t:IsRead>true</t:IsRead>")).ok()
    assert len((await get_items(anna, talk[1], state=state)).ok().all("//t:ConversationNode")) == 1
    assert (await get_items(anna, talk[1], state=base64.b64encode(b"x" * 17).decode())).codes == [
        "ErrorInvalidSyncStateData"
    ]


async def test_replies_in_a_circle(anna):
    await anna.deliver(mail(1, 2))
    await anna.deliver(mail(2, 1))
    (id_,) = {one.get("Id") for one in (await anna.find(shape="AllProperties")).all("//t:ConversationId")}
    assert len((await get_items(anna, id_, order="TreeOrderAscending")).ok().all("//t:ConversationNode")) == 2


async def test_actions_on_what_is_there(anna, talk):
    plan, lunch = talk
    target = await anna.folder("target")
    destination = f'<t:DestinationFolderId><t:FolderId Id="{target}"/></t:DestinationFolderId>'
    inbox = '<t:ContextFolderId><t:DistinguishedFolderId Id="inbox"/></t:ContextFolderId>'
    (await act(anna, "Move", plan, inbox + destination)).ok()
    assert len((await anna.find()).ids()) == 1
    assert len((await anna.find("sentitems")).ids()) == 1
    (await act(anna, "Flag", lunch, "<t:Flag><t:FlagStatus>Complete</t:FlagStatus></t:Flag>")).ok()
    ((id_, _),) = (await anna.find()).ids()
    assert (await anna.get(id_)).text("//t:FlagStatus") == "Complete"
    early = "<t:ConversationLastSyncTime>2001-01-01T00:00:00Z</t:ConversationLastSyncTime>"
    (await act(anna, "Delete", lunch, inbox + early)).ok()
    assert len((await anna.find()).ids()) == 1
    (await act(anna, "Delete", lunch)).ok()
    assert not (await anna.find()).ids()
    assert len((await anna.find("deleteditems")).ids()) == 1
    (await act(anna, "Delete", lunch, "<t:DeleteType>HardDelete</t:DeleteType>")).ok()
    assert not (await anna.find("deleteditems")).ids()
    for action, expected in {
        "Move": "ErrorMissingArgument", "SetReadState": "ErrorMissingArgument", "Flag": "ErrorMissingArgument",
        "SetRetentionPolicy": "ErrorApplyConversationActionFailed",
    }.items():  # fmt: skip
        assert (await act(anna, action, plan)).codes == [expected]


async def test_actions_on_what_is_to_come(anna, talk):
    from postern.services.rules.deciding import Incoming, decide
    from postern.services.rules.loading import read_rules
    from postern.services.rules.placing import Folders
    from postern.services.scanning import scan_content

    plan, lunch = talk
    target = await anna.folder("quiet")
    destination = f'<t:DestinationFolderId><t:FolderId Id="{target}"/></t:DestinationFolderId>'
    mailbox = await anna.world.parts.store.mailbox(anna.principal.mailbox)

    async def comes(content: bytes):
        rules = await read_rules(mailbox, anna.world.parts.directory)
        if rules is None:
            return "", ()
        incoming = Incoming(content, b"", await scan_content(content), "boris@example.org", "anna@example.org", 0.0)
        folders = Folders(await mailbox.folders())
        (store,) = (await decide(rules, incoming, folders, {}, anna.world.parts.clock.now())).actions
        found = folders.find(store.target)
        return next(one.name for one in await mailbox.folders() if one.id == found), store.flags

    (await act(anna, "AlwaysMove", plan, destination)).ok()
    assert len((await anna.ask(
        f'<m:FindItem Traversal="Shallow"><m:ItemShape><t:BaseShape>IdOnly</t:BaseShape></m:ItemShape>'
        f'<m:ParentFolderIds><t:FolderId Id="{target}"/></m:ParentFolderIds></m:FindItem>'
    )).ids()) == 3  # fmt: skip
    assert await comes(mail(5, 1)) == ("quiet", ())
    assert await comes(mail(6, 9, subject="other").replace(b"<1@", b"<9@")) == ("INBOX", ())
    words = "<t:Categories><t:String>Red wine</t:String></t:Categories>"
    (await act(anna, "AlwaysCategorize", plan, words)).ok()
    assert await comes(mail(5, 1)) == ("quiet", ("Red=20wine",))
    (await act(anna, "AlwaysDelete", lunch, "<t:EnableAlwaysDelete>true</t:EnableAlwaysDelete>")).ok()
    assert await comes(mail(6, 9).replace(b"<1@", b"<9@")) == ("Deleted Items", ())
    assert len((await anna.find("deleteditems")).ids()) == 1
    (await act(anna, "AlwaysMove", plan)).ok()
    (await act(anna, "AlwaysCategorize", plan, "<t:Categories/>")).ok()
    (await act(anna, "AlwaysDelete", lunch, "<t:EnableAlwaysDelete>false</t:EnableAlwaysDelete>")).ok()
    assert await comes(mail(5, 1)) == ("", ())  # there are no rules at all any more

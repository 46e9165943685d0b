"""Every operation: how its request is read, who does it, and since which version there is one."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple

from lxml.etree import _Element as Element

from postern.frontends.ews import (
    archiving,
    attaching,
    availability,
    bulk,
    configurations,
    conversation_acting,
    conversation_finding,
    conversation_reading,
    delegates,
    directory_lookups,
    discovery,
    finding,
    folder_changing,
    folder_reading,
    hierarchy,
    inbox_rules,
    item_making,
    item_reading,
    item_sync,
    item_updating,
    junk,
    keeping,
    mail_tips,
    oof,
    people,
    photos,
    probes,
    pulling,
    reminding,
    rooms,
    sending,
    streaming,
    subscribing,
    transferring,
    unavailable,
    zones,
)
from postern.frontends.ews.call import Call
from postern.frontends.ews.streaming import Stream
from postern.protocols.ews import (
    archive_requests,
    attachment_requests,
    availability_requests,
    bulk_requests,
    configuration_requests,
    conversation_requests,
    delegate_requests,
    discovery_requests,
    find_requests,
    folder_requests,
    item_requests,
    lookup_requests,
    notification_requests,
    oof_requests,
    people_requests,
    reminder_requests,
    rule_requests,
    tip_requests,
)
from postern.protocols.ews.versions import Version


class Operation(NamedTuple):
    """One row."""

    read: Callable[[Element], Any]
    do: Callable[[Call, Any], Awaitable[str | Stream]]
    since: Version = Version.EXCHANGE_2007


_SP1, _10, _10SP1 = Version.EXCHANGE_2007_SP1, Version.EXCHANGE_2010, Version.EXCHANGE_2010_SP1
_10SP2, _13, _13SP1 = Version.EXCHANGE_2010_SP2, Version.EXCHANGE_2013, Version.EXCHANGE_2013_SP1

OPERATIONS: dict[str, Operation] = {
    # folders (MS-OXWSFOLD, MS-OXWSSRCH, MS-OXWSSYNC)
    "GetFolder": Operation(folder_requests.get_folder, folder_reading.get_folder),
    "FindFolder": Operation(folder_requests.find_folder, folder_reading.find_folder),
    "CreateFolder": Operation(folder_requests.create_folder, folder_changing.create_folder),
    "UpdateFolder": Operation(folder_requests.update_folder, folder_changing.update_folder),
    "DeleteFolder": Operation(folder_requests.delete_folder, folder_changing.delete_folder),
    "MoveFolder": Operation(folder_requests.transfer_folder, folder_changing.move_folder),
    "CopyFolder": Operation(folder_requests.transfer_folder, folder_changing.copy_folder),
    "CreateManagedFolder": Operation(folder_requests.create_managed_folder, folder_changing.create_managed_folder),
    "EmptyFolder": Operation(folder_requests.empty_folder, folder_changing.empty_folder, _10SP1),
    "SyncFolderHierarchy": Operation(folder_requests.sync_folder_hierarchy, hierarchy.sync_folder_hierarchy),
    "MarkAllItemsAsRead": Operation(
        folder_requests.mark_all_items_as_read, folder_changing.mark_all_items_as_read, _13
    ),
    # items (MS-OXWSCORE, MS-OXWSMSG)
    "GetItem": Operation(item_requests.get_item, item_reading.get_item),
    "FindItem": Operation(find_requests.find_item, finding.find_item),
    "SyncFolderItems": Operation(find_requests.sync_folder_items, item_sync.sync_folder_items),
    "CreateItem": Operation(item_requests.create_item, item_making.create_item),
    "UpdateItem": Operation(item_requests.update_item, item_updating.update_item),
    "DeleteItem": Operation(item_requests.delete_item, transferring.delete_item),
    "MoveItem": Operation(item_requests.transfer_item, transferring.move_item),
    "CopyItem": Operation(item_requests.transfer_item, transferring.copy_item),
    "SendItem": Operation(item_requests.send_item, sending.send_item),
    "MarkAsJunk": Operation(item_requests.mark_as_junk, junk.mark_as_junk, _13),
    "ArchiveItem": Operation(archive_requests.archive_item, archiving.archive_item, _13),
    # attachments (MS-OXWSATT)
    "CreateAttachment": Operation(attachment_requests.create_attachment, attaching.create_attachment),
    "GetAttachment": Operation(attachment_requests.get_attachment, attaching.get_attachment),
    "DeleteAttachment": Operation(attachment_requests.delete_attachment, attaching.delete_attachment),
    # conversations (MS-OXWSCONV)
    "FindConversation": Operation(
        conversation_requests.find_conversation, conversation_finding.find_conversation, _10SP1
    ),
    "GetConversationItems": Operation(
        conversation_requests.get_conversation_items, conversation_reading.get_conversation_items, _13
    ),
    "ApplyConversationAction": Operation(
        conversation_requests.apply_conversation_action, conversation_acting.apply_conversation_action, _10SP1
    ),
    # search over mailboxes (MS-OXWSEDISC)
    "SearchMailboxes": Operation(discovery_requests.search_mailboxes, discovery.search_mailboxes, _13),
    # out of office (MS-OXWOOF)
    "GetUserOofSettingsRequest": Operation(oof_requests.get_user_oof_settings, oof.get_user_oof_settings),
    "SetUserOofSettingsRequest": Operation(oof_requests.set_user_oof_settings, oof.set_user_oof_settings),
    # delegates (MS-OXWSDLGM)
    "GetDelegate": Operation(delegate_requests.get_delegate, delegates.get_delegate, _SP1),
    "AddDelegate": Operation(delegate_requests.add_delegate, delegates.add_delegate, _SP1),
    "UpdateDelegate": Operation(delegate_requests.update_delegate, delegates.update_delegate, _SP1),
    "RemoveDelegate": Operation(delegate_requests.remove_delegate, delegates.remove_delegate, _SP1),
    # inbox rules (MS-OXWSRULES)
    "GetInboxRules": Operation(rule_requests.get_inbox_rules, inbox_rules.get_inbox_rules, _10SP1),
    "UpdateInboxRules": Operation(rule_requests.update_inbox_rules, inbox_rules.update_inbox_rules, _10SP1),
    # free/busy (MS-OXWSAVAIL)
    "GetUserAvailabilityRequest": Operation(
        availability_requests.get_user_availability, availability.get_user_availability
    ),
    # reminders (MS-OXWSMTGS)
    "GetReminders": Operation(reminder_requests.get_reminders, reminding.get_reminders, _13),
    "PerformReminderAction": Operation(
        reminder_requests.perform_reminder_action, reminding.perform_reminder_action, _13
    ),
    # bulk transfer (MS-OXWSBTRF)
    "ExportItems": Operation(bulk_requests.export_items, bulk.export_items, _10SP1),
    "UploadItems": Operation(bulk_requests.upload_items, bulk.upload_items, _10SP1),
    # notifications (MS-OXWSNTIF)
    "Subscribe": Operation(notification_requests.subscribe, subscribing.subscribe),
    "Unsubscribe": Operation(notification_requests.unsubscribe, subscribing.unsubscribe),
    "GetEvents": Operation(notification_requests.get_events, pulling.get_events),
    "GetStreamingEvents": Operation(notification_requests.get_streaming_events, streaming.get_streaming_events, _10SP1),
    # user configuration (MS-OXWSUSRCFG)
    "GetUserConfiguration": Operation(configuration_requests.get, configurations.get_user_configuration, _10),
    "CreateUserConfiguration": Operation(configuration_requests.put, configurations.create_user_configuration, _10),
    "UpdateUserConfiguration": Operation(configuration_requests.put, configurations.update_user_configuration, _10),
    "DeleteUserConfiguration": Operation(configuration_requests.delete, configurations.delete_user_configuration, _10),
    # people, ids, zones (MS-OXWSRSLNM, MS-OXWSDLIST, MS-OXWSCVTID, MS-OXWSGTZ, MS-OXWSPED)
    "ResolveNames": Operation(lookup_requests.resolve_names, directory_lookups.resolve_names),
    "GetUserPhoto": Operation(lookup_requests.get_user_photo, photos.get_user_photo, _13),
    "SetUserPhoto": Operation(people_requests.set_user_photo, photos.set_user_photo, _13SP1),
    "FindPeople": Operation(people_requests.find_people, people.find_people, _13),
    "GetPersona": Operation(people_requests.get_persona, people.get_persona, _13),
    "GetRoomLists": Operation(people_requests.get_room_lists, rooms.get_room_lists, _10),
    "GetRooms": Operation(people_requests.get_rooms, rooms.get_rooms, _10),
    "ExpandDL": Operation(lookup_requests.expand_dl, directory_lookups.expand_dl),
    "ConvertId": Operation(lookup_requests.convert_id, probes.convert_id, _SP1),
    "GetServerTimeZones": Operation(lookup_requests.get_server_time_zones, zones.get_server_time_zones, _10),
    "GetPasswordExpirationDate": Operation(
        lookup_requests.get_password_expiration_date, probes.get_password_expiration_date, _10SP2
    ),
    # what to know before sending (MS-OXWSMTIP, MS-OXWSCONFIG)
    "GetMailTips": Operation(tip_requests.get_mail_tips, mail_tips.get_mail_tips, _10),
    "GetServiceConfiguration": Operation(
        tip_requests.get_service_configuration, mail_tips.get_service_configuration, _10
    ),
    # what is kept, and what is installed
    "GetSearchableMailboxes": Operation(
        archive_requests.get_searchable_mailboxes, keeping.get_searchable_mailboxes, _13
    ),
    "GetUserRetentionPolicyTags": Operation(archive_requests.nothing, keeping.get_user_retention_policy_tags, _13),
    "GetAppManifests": Operation(archive_requests.nothing, keeping.get_app_manifests, _13),
    **{
        name: Operation(archive_requests.nothing, unavailable.answering(name), row.since)
        for name, row in unavailable.ANSWERS.items()
    },
}

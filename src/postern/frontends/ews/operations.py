"""Every operation: how its request is read, who does it, and since which version there is one."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple

from lxml.etree import _Element as Element

from postern.frontends.ews import (
    attaching,
    availability,
    bulk,
    configurations,
    directory_lookups,
    finding,
    folder_changing,
    folder_reading,
    hierarchy,
    item_making,
    item_reading,
    item_sync,
    item_updating,
    oof,
    photos,
    probes,
    pulling,
    reminding,
    sending,
    streaming,
    subscribing,
    transferring,
    zones,
)
from postern.frontends.ews.call import Call
from postern.frontends.ews.streaming import Stream
from postern.protocols.ews import (
    attachment_requests,
    availability_requests,
    bulk_requests,
    configuration_requests,
    find_requests,
    folder_requests,
    item_requests,
    lookup_requests,
    notification_requests,
    oof_requests,
    reminder_requests,
)
from postern.protocols.ews.versions import Version


class Operation(NamedTuple):
    """One row."""

    read: Callable[[Element], Any]
    do: Callable[[Call, Any], Awaitable[str | Stream]]
    since: Version = Version.EXCHANGE_2007


_SP1, _10, _10SP1 = Version.EXCHANGE_2007_SP1, Version.EXCHANGE_2010, Version.EXCHANGE_2010_SP1
_10SP2, _13, _16 = Version.EXCHANGE_2010_SP2, Version.EXCHANGE_2013, Version.EXCHANGE_2016

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
    "MarkAsJunk": Operation(item_requests.mark_as_junk, transferring.mark_as_junk, _13),
    # attachments (MS-OXWSATT)
    "CreateAttachment": Operation(attachment_requests.create_attachment, attaching.create_attachment),
    "GetAttachment": Operation(attachment_requests.get_attachment, attaching.get_attachment),
    "DeleteAttachment": Operation(attachment_requests.delete_attachment, attaching.delete_attachment),
    # out of office (MS-OXWOOF)
    "GetUserOofSettingsRequest": Operation(oof_requests.get_user_oof_settings, oof.get_user_oof_settings),
    "SetUserOofSettingsRequest": Operation(oof_requests.set_user_oof_settings, oof.set_user_oof_settings),
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
    "SetUserPhoto": Operation(lookup_requests.set_user_photo, photos.set_user_photo, _16),
    "ExpandDL": Operation(lookup_requests.expand_dl, directory_lookups.expand_dl),
    "ConvertId": Operation(lookup_requests.convert_id, probes.convert_id, _SP1),
    "GetServerTimeZones": Operation(lookup_requests.get_server_time_zones, zones.get_server_time_zones, _10),
    "GetPasswordExpirationDate": Operation(
        lookup_requests.get_password_expiration_date, probes.get_password_expiration_date, _10SP2
    ),
    "GetServiceConfiguration": Operation(
        lookup_requests.get_service_configuration, probes.get_service_configuration, _10
    ),
}

"""EffectiveRights: what whoever asks may do with a folder or an item (MS-OXWSCDATA 2.2.4.29)."""

from __future__ import annotations

import msgspec

from postern.protocols.ews.versions import Version

_BOOL = {True: "true", False: "false"}


class Rights(msgspec.Struct, frozen=True):
    """EffectiveRights."""

    create: bool
    create_folders: bool
    delete: bool
    modify: bool
    read: bool
    private: bool = True

    def xml(self, version: Version) -> str:
        """MS-OXWSCDATA 2.2.4.29."""
        flags = (self.create, self.create, self.create_folders, self.delete, self.modify, self.read)
        names = ("CreateAssociated", "CreateContents", "CreateHierarchy", "Delete", "Modify", "Read")
        inner = "".join(f"<t:{name}>{_BOOL[flag]}</t:{name}>" for name, flag in zip(names, flags, strict=True))
        if version >= Version.EXCHANGE_2007_SP1:
            inner += f"<t:ViewPrivateItems>{_BOOL[self.private]}</t:ViewPrivateItems>"
        return f"<t:EffectiveRights>{inner}</t:EffectiveRights>"

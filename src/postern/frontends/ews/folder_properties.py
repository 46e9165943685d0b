"""What clients put on folders: extended properties and the class (MS-OXWSFOLD 2.2.4.12, MS-OXWSXPROP)."""

from __future__ import annotations

from typing import Any

from postern.frontends.ews.box import container_class, distinguished
from postern.frontends.ews.places import FolderPlace
from postern.model.items import FolderClass
from postern.model.properties import CONTAINER_CLASS
from postern.protocols.ews import extended, folder_xml
from postern.protocols.ews.folder_requests import FieldChange, NewFolder, extended_of
from postern.protocols.ews.paths import Extended
from postern.protocols.ews.violation import EwsViolation

_NAME, _CLASS = 0x3001, 0x3613
MAX_CLASS = 255


def coarse(container: str) -> FolderClass:
    """What the store calls a class; what is of no known kind is kept with mail."""
    found = FolderClass.of(container.strip())
    return FolderClass.MAIL if found is FolderClass.ROOT else found


def given(new: NewFolder) -> dict[str, Any]:
    """Stored properties of a folder to be made. Raises EwsViolation."""
    values: dict[str, Any] = {}
    for name, element in new.values:
        if name == "ExtendedProperty":
            path, texts, _ = extended_of(element)
            values[_key(path)] = extended.parse(path, texts)
    said = (new.text("FolderClass") or "").strip()[:MAX_CLASS]
    if said and said != coarse(said).value:
        values[CONTAINER_CLASS] = said
    return values


def _key(path: Extended) -> str:
    """Raises EwsViolation."""
    if path.tag in folder_xml.READ_ONLY or path.tag in (_NAME, _CLASS):
        raise EwsViolation("ErrorInvalidPropertySet", f"The property 0x{path.tag:04X} cannot be set.")
    return extended.key(path)


def name_in(change: FieldChange) -> str:
    """The DisplayName that a change of PidTagDisplayName has. Raises EwsViolation."""
    assert change.value is not None
    if len(change.value.values) != 1 or change.value.values[0][0] != "ExtendedProperty":
        raise EwsViolation("ErrorIncorrectUpdatePropertyCount", "A change has exactly one property.")
    return extended_of(change.value.values[0][1])[1][0]


async def change_extended(place: FolderPlace, path: Extended, change: FieldChange) -> None:
    """One change of an extended property. Raises EwsViolation, Refusal."""
    if change.action == "Append":
        raise EwsViolation("ErrorInvalidPropertyAppend", "Nothing can be appended to an extended property.")
    if change.action == "Delete":
        await place.box.items.set_folder(place.folder, {}, [_key(path)])
        place.box.wrote(folders=True)
        return
    assert change.value is not None
    if len(change.value.values) != 1 or change.value.values[0][0] != "ExtendedProperty":
        raise EwsViolation("ErrorIncorrectUpdatePropertyCount", "A change has exactly one property.")
    named, texts, _ = extended_of(change.value.values[0][1])
    if named.identity != path.identity or named.kind != path.kind:
        raise EwsViolation("ErrorUpdatePropertyMismatch", "The property is not the one that the path names.")
    if path.tag == _CLASS:
        await change_class(place, texts[0])
        return
    await place.box.items.set_folder(place.folder, {_key(path): extended.parse(path, texts)})
    place.box.wrote(folders=True)


async def change_class(place: FolderPlace, said: str) -> None:
    """Another FolderClass, of the same kind. Raises EwsViolation, Refusal."""
    folder = await place.box.folder(place.folder)
    said = said.strip()[:MAX_CLASS]
    if said.lower() == container_class(folder).lower():
        return  # exchangelib repeats it with each change
    if not said or distinguished(folder) or coarse(said) is not folder.folder_class:
        raise EwsViolation("ErrorNoFolderClassOverride", "The folder is of another kind.")
    usual = said == folder.folder_class.value
    set_: dict[str, Any] = {} if usual else {CONTAINER_CLASS: said}
    await place.box.items.set_folder(place.folder, set_, [CONTAINER_CLASS] if usual else [])
    place.box.wrote(folders=True)

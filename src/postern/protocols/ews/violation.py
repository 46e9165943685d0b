"""What EWS calls errors: a ResponseCode (MS-OXWSCDATA 2.2.5.24) with a text for whoever reads the client's log."""

from __future__ import annotations

from postern.model.refusal import ProtocolViolation


class EwsViolation(ProtocolViolation):
    """One thing of a request cannot be done as it was asked for; the rest of the batch can."""

    def __init__(self, code: str, text: str) -> None:
        super().__init__(f"{code}: {text}")
        self.code = code
        self.text = text


class SchemaViolation(EwsViolation):
    """The request is not what the schema says: nothing of it is done."""

    def __init__(self, text: str) -> None:
        super().__init__("ErrorSchemaValidation", text)

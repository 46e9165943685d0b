"""What a writer of rules can refuse."""


class FormatError(ValueError):
    """The format cannot say this; the text says what to do instead."""

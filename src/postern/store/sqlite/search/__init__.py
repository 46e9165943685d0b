"""Searching and ordering a mailbox, by a file beside it that can be thrown away and is filled as it is needed."""

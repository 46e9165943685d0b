"""Mailboxes: transactions, folders, items, change log, journal and blobs."""

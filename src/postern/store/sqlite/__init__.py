"""The SQLite engine: one file a mailbox."""

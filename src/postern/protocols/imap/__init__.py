"""IMAP4rev1 on the wire (RFC 3501, RFC 9051, extensions): framing, command parsers, rendering; no I/O."""

"""SIP (RFC 3261): as much of it as asking a server what it can takes, without I/O."""

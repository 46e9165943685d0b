"""LDAP version 3 (RFC 4511): messages, filters, and the client's side of a session, without I/O."""

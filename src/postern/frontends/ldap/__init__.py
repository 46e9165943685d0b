"""LDAP front end: the address book, read only (RFC 4511)."""

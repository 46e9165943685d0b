"""Kerberos (RFC 4120): the first question to a key distribution centre, without I/O."""

"""SMTP (RFC 5321) without I/O: server session, client session, replies."""

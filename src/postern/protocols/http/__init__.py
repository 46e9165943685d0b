"""HTTP/1.1 (RFC 9110, RFC 9112) without I/O: a server's session, and as much of a client as `check` needs."""

"""HTTP/1.1 (RFC 9112), as far as asking and reading an answer's head goes, without I/O."""

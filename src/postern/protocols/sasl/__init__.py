"""Authentication exchanges (RFC 4422), server and client side, without I/O."""

"""ManageSieve (RFC 5804), server side, without I/O."""

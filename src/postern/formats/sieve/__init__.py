"""Sieve (RFC 5228): from a script's octets to a checked program, and from a message to a list of actions."""

"""Listeners, streams, TLS, deadlines; the real clock, entropy and resolver."""

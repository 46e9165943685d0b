"""Postern: an Exchange-class mail and groupware server."""

__version__ = "0.1.0"

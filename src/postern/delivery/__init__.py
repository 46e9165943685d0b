"""Outbound adapters: next hops over SMTP and local mailboxes."""

"""Postern beside Postfix + Dovecot, in one run."""

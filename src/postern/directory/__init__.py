"""Accounts, recipients, groups, domains, credentials and rights."""

"""Backups of a whole organisation in a repository of their own, and everything that comes back out of it."""

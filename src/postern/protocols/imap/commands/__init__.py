"""Argument parsers, a module a family of commands."""

"""Rulesets of firewalls, read into one form; what a reader does not understand it says with the line."""

"""The command line: one module a noun, verbs inside."""

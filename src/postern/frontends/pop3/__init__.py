"""POP3 front end."""

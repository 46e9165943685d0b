"""Published calendars over HTTP: the virtual directory /calendar."""

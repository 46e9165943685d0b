"""Names and definitions of time zones into each other: IANA, Windows, EWS."""

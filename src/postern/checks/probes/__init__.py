"""One module a protocol: how to ask a service what it offers, without logging in and without leaving a trace."""

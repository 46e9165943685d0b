"""HTTP: the host that web applications and virtual directories live in, and the one sign-in in front of them."""

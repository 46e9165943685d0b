"""The host's own pages: sign-in, sign-out, who am I."""

"""The SMTP client side: one agent a worker hands messages to next hops."""

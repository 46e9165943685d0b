"""Sans-IO protocol sessions, server and client side."""

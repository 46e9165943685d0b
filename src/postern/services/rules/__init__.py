"""Rules at delivery: Sieve scripts, inbox rules, out of office and junk, one engine for all of them."""

"""NTLM messages and keys (MS-NLMP), version 2 only."""

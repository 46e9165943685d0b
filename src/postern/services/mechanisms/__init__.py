"""Mechanisms that prove by tokens: Kerberos, NTLM, SPNEGO around both, Bearer tokens, client certificates."""

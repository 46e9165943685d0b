"""ManageSieve front end (RFC 5804): people's programs edit Sieve scripts.

Trust: nobody before authentication, which needs TLS; whoever may use IMAP may edit the scripts of the same mailbox.
Limits: octets of strings and scripts, scripts a mailbox, wrong commands, silence.
"""

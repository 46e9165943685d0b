"""SMTP in: the front end of the receive connectors.

Purpose: takes mail from other servers (port 25) and from users' mail programs (587, 465) and hands it to
`services.mailflow`. A message is answered with 250 when it is durable, not before.

Standards: RFC 5321, 6409, 8314; extensions RFC 1870, 2034, 2920, 3030, 3207, 3461, 4954, 6152, 6531, 9422.

Trust: none in the peer. Anonymous peers reach accepted domains only, unless a connector lets their network relay;
passwords cross the wire under TLS only; users send as addresses that are theirs. What came in clear text before
STARTTLS is dropped. Public text names no policy, path or setting; details go to the log.

Limits: message size, recipients, errors, commands, connections (all and per address), silence, time without a message.

Settings: `SmtpSettings`, one for each data path; `ReceiveConnector`, the first that fits a connection counts.
"""

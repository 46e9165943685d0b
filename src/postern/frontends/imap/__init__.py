"""The IMAP4rev1 server.

Purpose: lets mail programs read, sort and file the messages of a mailbox (data paths imap 143, imaps 993).
Standards: RFC 3501 and RFC 9051 without rev2; RFC 2177 IDLE, 2342 NAMESPACE, 2971 ID, 3691 UNSELECT, 4315 UIDPLUS,
  4731 ESEARCH, 4959 SASL-IR, 5161 ENABLE, 5258 LIST-EXTENDED, 5530 response codes, 5819 LIST-STATUS,
  6154 SPECIAL-USE, 6851 MOVE, 7162 CONDSTORE, 7888 LITERAL+.
Trust: nothing is done before authentication; passwords in the clear are taken under TLS only, unless the operator
  allows them on loopback.
Limits: `settings.ImapSettings`.
"""

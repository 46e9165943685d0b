"""Autodiscover and its relatives: how mail programs learn where everything is from an address alone.

Purpose: answers POX, SOAP and JSON Autodiscover, Mozilla's autoconfig and Apple's profile, all from one description of
what this server really offers.

Standards: MS-OXDSCLI, MS-OXWSADISC, MS-ASCMD 2.2.1.1, Mozilla's config-v1.1.

Trust: POX, SOAP and the profile are for whoever signs in, and tell a mailbox that is hidden or not there apart for
nobody. JSON and autoconfig are for everybody and the same for every address of a domain.

Limits: 64 KiB a request, 100 addresses a SOAP call.

Settings: `[server] hostname`, the listeners.
"""

"""SOAP 1.1: envelopes, headers and faults, for Exchange Web Services and Autodiscover."""

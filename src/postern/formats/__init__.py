"""Bytes to values and back: MIME, DKIM, delivery status, encodings."""

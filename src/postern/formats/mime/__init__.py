"""MIME: reading messages once, rendering them for the wire, changing them with care."""

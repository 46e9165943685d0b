"""Certificates on disk: where they lie, how they are replaced, issued and renewed."""

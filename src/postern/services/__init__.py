"""Use cases and permissions: what front ends and delivery agents may ask for."""

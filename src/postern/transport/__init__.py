"""Categorizer, routing, queue, retry and delivery status notifications."""

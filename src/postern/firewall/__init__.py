"""Rules for packet filters, written from the flows of a topology."""

"""The journal: accepted messages made durable by group commit; its sealed segments are the blob store."""

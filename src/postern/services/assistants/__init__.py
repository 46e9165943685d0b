"""What deliveries set off, done from mailboxes' outboxes."""

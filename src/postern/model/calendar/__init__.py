"""The calendar's vocabulary: appointments, recurrence, zones. Pure values and arithmetic; no wire format."""

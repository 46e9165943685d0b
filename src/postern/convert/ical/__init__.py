"""Appointments and tasks to iCalendar and back (RFC 5545, RFC 5546, MS-OXCICAL)."""

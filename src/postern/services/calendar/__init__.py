"""The calendar engine: free/busy, suggestions, meetings, rooms, publishing. Decisions over values, without a store."""

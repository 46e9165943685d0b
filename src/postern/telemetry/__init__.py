"""Events, counters and correlation ids."""

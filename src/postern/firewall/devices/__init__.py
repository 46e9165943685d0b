"""Rules for network devices between zones, made by aerleon."""

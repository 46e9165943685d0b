"""Real handshakes on the data paths of a topology, beside what the catalogue says."""

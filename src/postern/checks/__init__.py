"""The check of data paths: does the real handshake of each and compares what is found with what is catalogued."""

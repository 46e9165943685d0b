"""The data-path catalogue: every port, its authentication and encryption."""

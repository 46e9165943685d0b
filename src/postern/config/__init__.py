"""One TOML file into every package's settings."""

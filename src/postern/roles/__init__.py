"""What each server role starts: the only place where parts are wired together."""

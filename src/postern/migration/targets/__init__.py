"""Where exported mail goes: Maildir, mbox, one archive file."""

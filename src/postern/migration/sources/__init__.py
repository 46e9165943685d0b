"""Where mail comes from: Maildir, mbox, IMAP servers, Dovecot's own store, our archive files."""

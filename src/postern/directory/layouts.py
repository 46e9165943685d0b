"""Layouts of the embedded directory (directory.db): each step brings a file from one to the next."""

from __future__ import annotations

FIRST = """
    CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;
    INSERT INTO meta VALUES ('next_slot', '1');
    CREATE TABLE secrets (name TEXT PRIMARY KEY, value BLOB NOT NULL) STRICT, WITHOUT ROWID;
    CREATE TABLE domains (
        position INTEGER PRIMARY KEY, -- the first one is the default domain
        name TEXT NOT NULL UNIQUE, kind TEXT NOT NULL, catch_all TEXT NOT NULL
    ) STRICT;
    CREATE TABLE objects (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        kind TEXT NOT NULL CHECK (kind IN ('account', 'group')),
        address TEXT NOT NULL UNIQUE,
        display_name TEXT NOT NULL
    ) STRICT;
    CREATE TABLE accounts (
        id INTEGER PRIMARY KEY REFERENCES objects ON DELETE CASCADE,
        mailbox TEXT NOT NULL UNIQUE,
        slot INTEGER NOT NULL UNIQUE,
        warn_bytes INTEGER, no_send_bytes INTEGER, no_receive_bytes INTEGER,
        enabled INTEGER NOT NULL, shared INTEGER NOT NULL, admin INTEGER NOT NULL,
        protocols TEXT NOT NULL,
        forward_to TEXT NOT NULL DEFAULT '', forward_keep INTEGER NOT NULL DEFAULT 1
    ) STRICT;
    CREATE TABLE credentials (
        account INTEGER PRIMARY KEY REFERENCES accounts ON DELETE CASCADE,
        password TEXT NOT NULL,
        scram_salt BLOB, scram_iterations INTEGER, scram_stored BLOB, scram_server BLOB
    ) STRICT;
    CREATE TABLE groups (
        id INTEGER PRIMARY KEY REFERENCES objects ON DELETE CASCADE,
        authenticated_only INTEGER NOT NULL, owner TEXT NOT NULL
    ) STRICT;
    CREATE TABLE members (
        grp INTEGER NOT NULL REFERENCES groups ON DELETE CASCADE,
        address TEXT NOT NULL,
        PRIMARY KEY (grp, address)
    ) STRICT;
    CREATE INDEX members_by_address ON members (address);
    CREATE TABLE aliases (address TEXT PRIMARY KEY, targets TEXT NOT NULL) STRICT, WITHOUT ROWID;
    CREATE TABLE mailbox_permissions (
        owner INTEGER NOT NULL REFERENCES accounts ON DELETE CASCADE,
        grantee INTEGER NOT NULL REFERENCES objects ON DELETE CASCADE,
        right_name TEXT NOT NULL,
        PRIMARY KEY (owner, grantee, right_name)
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE folder_permissions (
        owner INTEGER NOT NULL REFERENCES accounts ON DELETE CASCADE,
        folder INTEGER NOT NULL,
        grantee INTEGER NOT NULL,
        rights INTEGER NOT NULL,
        PRIMARY KEY (owner, folder, grantee)
    ) STRICT, WITHOUT ROWID;
"""

SECOND = """
    CREATE TABLE sources ( -- directories elsewhere; number 0 is this one
        id INTEGER PRIMARY KEY,
        name TEXT NOT NULL UNIQUE, kind TEXT NOT NULL,
        precedence INTEGER NOT NULL, adopt INTEGER NOT NULL,
        settings TEXT NOT NULL, state TEXT NOT NULL DEFAULT '', synchronised_at REAL
    ) STRICT;

    -- contacts come in, and what address books and sources say of every recipient
    CREATE TABLE objects_2 (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        kind TEXT NOT NULL CHECK (kind IN ('account', 'contact', 'group')),
        address TEXT NOT NULL UNIQUE,
        display_name TEXT NOT NULL,
        hidden INTEGER NOT NULL DEFAULT 0,
        source INTEGER NOT NULL DEFAULT 0
    ) STRICT;
    INSERT INTO objects_2 (id, kind, address, display_name) SELECT id, kind, address, display_name FROM objects;
    DELETE FROM sqlite_sequence WHERE name = 'objects_2';
    INSERT INTO sqlite_sequence (name, seq) SELECT 'objects_2', seq FROM sqlite_sequence WHERE name = 'objects';
    DROP TABLE objects;
    ALTER TABLE objects_2 RENAME TO objects;
    CREATE INDEX objects_by_name ON objects (display_name COLLATE NOCASE);

    ALTER TABLE accounts ADD COLUMN kind TEXT NOT NULL DEFAULT 'user';
    ALTER TABLE accounts ADD COLUMN blocked TEXT NOT NULL DEFAULT ''; -- protocols that are forbidden
    ALTER TABLE accounts ADD COLUMN generation INTEGER NOT NULL DEFAULT 0;
    ALTER TABLE accounts ADD COLUMN expires_at REAL;
    ALTER TABLE accounts ADD COLUMN password_at REAL;
    ALTER TABLE accounts ADD COLUMN policy TEXT NOT NULL DEFAULT '';
    ALTER TABLE accounts ADD COLUMN removed_at REAL; -- its source has it no more; the mailbox is kept
    UPDATE accounts SET kind = 'shared' WHERE shared;
    UPDATE accounts SET blocked = CASE protocols WHEN '' THEN 'http imap ldap pop3 smtp' ELSE trim(
        iif(instr(' ' || protocols || ' ', ' imap '), '', 'imap ')
        || iif(instr(' ' || protocols || ' ', ' pop3 '), '', 'pop3 ')
        || iif(instr(' ' || protocols || ' ', ' smtp '), '', 'smtp')) END;
    ALTER TABLE accounts DROP COLUMN shared;
    ALTER TABLE accounts DROP COLUMN protocols;
    ALTER TABLE groups ADD COLUMN filter TEXT NOT NULL DEFAULT '';

    CREATE TABLE contacts (
        id INTEGER PRIMARY KEY REFERENCES objects ON DELETE CASCADE, target TEXT NOT NULL
    ) STRICT;
    CREATE INDEX contacts_by_target ON contacts (target);
    CREATE TABLE proxies ( -- other addresses of one object; aliases keeps those that lead to several or elsewhere
        address TEXT PRIMARY KEY, object INTEGER NOT NULL REFERENCES objects ON DELETE CASCADE
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX proxies_by_object ON proxies (object);
    INSERT INTO proxies SELECT a.address, o.id FROM aliases a JOIN objects o ON o.address = a.targets ->> 0
        WHERE json_array_length(a.targets) = 1;
    DELETE FROM aliases WHERE address IN (SELECT address FROM proxies);
    CREATE TABLE login_names (
        name TEXT PRIMARY KEY COLLATE NOCASE, object INTEGER NOT NULL REFERENCES accounts ON DELETE CASCADE
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX login_names_by_object ON login_names (object);

    CREATE TABLE details (
        id INTEGER PRIMARY KEY REFERENCES objects ON DELETE CASCADE,
        given_name TEXT NOT NULL, surname TEXT NOT NULL, initials TEXT NOT NULL, title TEXT NOT NULL,
        department TEXT NOT NULL, company TEXT NOT NULL, office TEXT NOT NULL, phone TEXT NOT NULL,
        mobile TEXT NOT NULL, home_phone TEXT NOT NULL, fax TEXT NOT NULL, street TEXT NOT NULL, city TEXT NOT NULL,
        state TEXT NOT NULL, postal_code TEXT NOT NULL, country TEXT NOT NULL, manager TEXT NOT NULL,
        notes TEXT NOT NULL, web_page TEXT NOT NULL, capacity TEXT NOT NULL, custom TEXT NOT NULL
    ) STRICT;
    CREATE INDEX details_by_department ON details (department COLLATE NOCASE);
    CREATE TABLE photos (id INTEGER PRIMARY KEY REFERENCES objects ON DELETE CASCADE, content BLOB NOT NULL) STRICT;
    CREATE TABLE address_lists (
        position INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, filter TEXT NOT NULL, by_attribute TEXT NOT NULL
    ) STRICT;
    INSERT INTO address_lists (name, filter, by_attribute) VALUES
        ('Global Address List', '(objectClass=*)', ''),
        ('All Users', '(|(recipientType=user)(recipientType=shared))', ''),
        ('All Rooms', '(recipientType=room)', ''),
        ('All Equipment', '(recipientType=equipment)', ''),
        ('All Contacts', '(recipientType=contact)', ''),
        ('All Groups', '(objectClass=group)', ''),
        ('Departments', '(department=*)', 'department');

    CREATE TABLE recipient_permissions (
        owner INTEGER NOT NULL REFERENCES objects ON DELETE CASCADE,
        grantee INTEGER NOT NULL REFERENCES objects ON DELETE CASCADE,
        right_name TEXT NOT NULL,
        PRIMARY KEY (owner, grantee, right_name)
    ) STRICT, WITHOUT ROWID;
    INSERT INTO recipient_permissions SELECT owner, grantee, right_name FROM mailbox_permissions;
    DROP TABLE mailbox_permissions;
    CREATE INDEX recipient_permissions_by_grantee ON recipient_permissions (grantee);

    CREATE TABLE policies (name TEXT PRIMARY KEY, body TEXT NOT NULL) STRICT, WITHOUT ROWID;
    CREATE TABLE password_history (
        account INTEGER NOT NULL REFERENCES accounts ON DELETE CASCADE, number INTEGER NOT NULL, password TEXT NOT NULL,
        PRIMARY KEY (account, number)
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE role_assignments (
        role TEXT NOT NULL, grantee INTEGER NOT NULL REFERENCES objects ON DELETE CASCADE, scope TEXT NOT NULL,
        PRIMARY KEY (role, grantee, scope)
    ) STRICT, WITHOUT ROWID;
    INSERT INTO role_assignments SELECT 'organisation', id, '' FROM accounts WHERE admin;

    -- what sessions look at: one number for the whole directory, and where each account has its last change
    INSERT INTO meta VALUES ('generation', '0'), ('generation_rights', '0'), ('generation_everybody', '0');
    CREATE TABLE life (account INTEGER PRIMARY KEY, generation INTEGER NOT NULL) STRICT;
    CREATE INDEX life_by_generation ON life (generation);

    CREATE TABLE mirrored ( -- entries as their sources have them
        source INTEGER NOT NULL REFERENCES sources ON DELETE CASCADE,
        anchor TEXT NOT NULL,
        dn TEXT NOT NULL COLLATE NOCASE,
        object INTEGER REFERENCES objects ON DELETE SET NULL, -- what it became
        run INTEGER NOT NULL,
        digest BLOB NOT NULL, -- of all it had, so that nothing is written for an entry that did not change
        body TEXT NOT NULL,   -- as it was, without its picture
        refused TEXT NOT NULL, -- addresses it claims and others have
        PRIMARY KEY (source, anchor)
    ) STRICT;
    CREATE INDEX mirrored_by_dn ON mirrored (source, dn);
    CREATE INDEX mirrored_by_object ON mirrored (object);
    CREATE INDEX mirrored_refused ON mirrored (source) WHERE refused <> '';
    CREATE TABLE mirrored_members ( -- whom a mirrored group has: anchors, DNs or addresses, known yet or not
        source INTEGER NOT NULL, grp TEXT NOT NULL, member TEXT NOT NULL COLLATE NOCASE,
        PRIMARY KEY (source, grp, member),
        FOREIGN KEY (source, grp) REFERENCES mirrored ON DELETE CASCADE
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX mirrored_members_by_member ON mirrored_members (source, member);
"""

THIRD = """
    CREATE TABLE derived_keys ( -- made of a password for mechanisms that need it in a form of their own
        account INTEGER NOT NULL REFERENCES accounts ON DELETE CASCADE,
        kind TEXT NOT NULL, value BLOB NOT NULL,
        PRIMARY KEY (account, kind)
    ) STRICT, WITHOUT ROWID;
"""

FOURTH = """
    CREATE TABLE app_passwords (
        id INTEGER PRIMARY KEY AUTOINCREMENT, -- never used again: last uses and sessions refer to it
        account INTEGER NOT NULL REFERENCES accounts ON DELETE CASCADE,
        name TEXT NOT NULL, digest BLOB NOT NULL,
        protocols TEXT NOT NULL, networks TEXT NOT NULL,
        created_at REAL NOT NULL, expires_at REAL,
        scram_stored BLOB NOT NULL, scram_server BLOB NOT NULL,
        UNIQUE (account, name)
    ) STRICT;
    CREATE TABLE totp (
        account INTEGER PRIMARY KEY REFERENCES accounts ON DELETE CASCADE,
        secret BLOB NOT NULL, created_at REAL NOT NULL, confirmed_at REAL
    ) STRICT;
    CREATE TABLE recovery_codes (
        account INTEGER NOT NULL REFERENCES totp ON DELETE CASCADE, digest BLOB NOT NULL,
        PRIMARY KEY (account, digest)
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE access_rules (
        position INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, action TEXT NOT NULL,
        protocols TEXT NOT NULL, networks TEXT NOT NULL, -- empty: all
        grp INTEGER, group_address TEXT NOT NULL -- kept when the group is gone: a rule about nobody, not everybody
    ) STRICT;
"""

FIFTH = """
    CREATE TABLE servers ( -- the organisation's other servers, and what proves that it is them
        name TEXT PRIMARY KEY, pins TEXT NOT NULL, by_authority INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID;
"""

SIXTH = """
    -- of full access: whether the grantee's mail program opens the mailbox by itself
    ALTER TABLE recipient_permissions ADD COLUMN automapping INTEGER NOT NULL DEFAULT 1;
"""

SEVENTH = """
    ALTER TABLE servers ADD COLUMN principal TEXT NOT NULL DEFAULT ''; -- Kerberos, with the realm; empty: none
    ALTER TABLE servers ADD COLUMN front_end INTEGER NOT NULL DEFAULT 0;
    CREATE UNIQUE INDEX server_principals ON servers (principal) WHERE principal <> '';
"""

MIGRATIONS = (FIRST, SECOND, THIRD, FOURTH, FIFTH, SIXTH, SEVENTH)
"""Each brings the file from the layout with its index to the next; `PRAGMA user_version` holds the layout."""

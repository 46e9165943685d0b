"""Directories elsewhere (Active Directory, other LDAP servers): synchronised into ours, asked for passwords."""

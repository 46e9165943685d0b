"""/OAB: the offline address book for Outlook, Evolution and others.

Purpose: hands out the manifest and the files that the background process has made of the directory.

Standards: MS-OXWOAB, MS-OXOAB.

Trust: whoever signs in gets the lists that their policy shows them, and nothing of others.

Limits: GET and HEAD only.

Settings: `[address_book]`.
"""

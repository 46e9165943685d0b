"""Exchange Web Services over HTTPS: /EWS/Exchange.asmx.

Purpose: mail for Thunderbird's native Exchange accounts, Evolution, exchangelib and scripts. Standards: MS-OXWSFOLD,
MS-OXWSCORE, MS-OXWSMSG, MS-OXWSSRCH, MS-OXWSSYNC, MS-OXWSATT, MS-OXWSRSLNM, MS-OXWSDLIST, MS-OXWSCVTID, MS-OXWSGTZ,
MS-OXWSPED. Trust: the host has signed the client in; every request is checked against the rights of whoever it is, an
id gives none. Limits: one document's size, depth and number of elements, 1000 things a request, 512 changes a page.
"""

"""Exchange Web Services: requests to values, values to responses; no I/O (MS-OXWSCDATA and its siblings)."""

"""The offline address book, version 4: details and templates (MS-OXOAB), LZX DELTA (MS-PATCH), manifest (MS-OXWOAB)."""

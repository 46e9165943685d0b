"""The words in files that mail carries: PDF, OOXML, OpenDocument, HTML and plain text, for searching."""

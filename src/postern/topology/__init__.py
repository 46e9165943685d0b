"""The hosts and networks of an organisation, and the flows that its data paths need between them."""

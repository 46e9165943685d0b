"""Mail of other servers brought in, and mail taken out into files: for moves, archives and leaving again."""

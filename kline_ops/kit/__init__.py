"""The public kit: what keeps a recorder alive, for other programs as well. Each works by itself."""

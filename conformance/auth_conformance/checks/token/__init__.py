"""TOK: bearer tokens and JWT. Forgeries of every kind, presented where the genuine token was accepted."""

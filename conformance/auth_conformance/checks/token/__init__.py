"""TOK: bearer tokens and JWT. Forgeries of every kind, presented where the genuine token was accepted.

A session cookie that is a JWT is such a token, too, where no header carries one.
"""

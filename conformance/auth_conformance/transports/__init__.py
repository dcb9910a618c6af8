"""How requests reach a target and how replies become evidence: the only importers of an HTTP client."""

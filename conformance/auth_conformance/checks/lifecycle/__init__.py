"""LIF: credentials that must end, and when."""

"""Conformance suite for the authentication of HTTP services, made for FastAPI."""

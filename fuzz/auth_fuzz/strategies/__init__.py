"""Hypothesis strategies for credentials: well-formed, nearly well-formed, and damaged."""

from auth_fuzz.strategies.authorization import authorization_values
from auth_fuzz.strategies.jws import compact_jws, damaged_jws

__all__ = ["authorization_values", "compact_jws", "damaged_jws"]

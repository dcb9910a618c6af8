"""Hypothesis strategies for credentials: edits of live ones, each with the words that report it."""

from auth_fuzz.strategies.attack import Attack, Material
from auth_fuzz.strategies.authorization import authorization_attacks, basic_attacks
from auth_fuzz.strategies.cookies import cookie_attacks
from auth_fuzz.strategies.jws import compact_jws, damaged_jws, token_attacks
from auth_fuzz.strategies.likely import likely_attacks
from auth_fuzz.strategies.texts import key_attacks

__all__ = [
    "Attack",
    "Material",
    "authorization_attacks",
    "basic_attacks",
    "compact_jws",
    "cookie_attacks",
    "damaged_jws",
    "key_attacks",
    "likely_attacks",
    "token_attacks",
]

"""Searches for authentication flaws that no fixed vector names; reports them like every other finding."""

from auth_fuzz.budget import Budget, seconds
from auth_fuzz.session import fuzz, names

__all__ = ["Budget", "fuzz", "names", "seconds"]

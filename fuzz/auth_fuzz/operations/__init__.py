"""Every documented operation under generated requests, and what is asked of each that is served."""

from auth_fuzz.operations.search import OPERATION_RULES, OperationSearch

__all__ = ["OPERATION_RULES", "OperationSearch"]

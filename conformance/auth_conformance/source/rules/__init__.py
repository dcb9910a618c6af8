"""The rules: pure functions from syntax trees to findings, one module per idea.

Those in `local` judge one file and serve bandit too; `scan` adds those that need the whole service.
"""

"""White box: what a target's source says about its authentication. Reads and starts it, never changes it.

`tree` parses, the modules in `rules` judge one file or the whole tree, `bandit_plugins` gives the rules for one
file to bandit, `scan` runs bandit with them. `application` reads the routes of a loaded FastAPI application,
`launch` starts it in a process of its own.
"""

"""The checks: one folder per chapter, one file per check, named for the flaw."""

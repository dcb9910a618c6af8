"""The part that searches instead of asking: strategies that know the grammar of credentials."""

"""AUZ: what an authenticated caller may see and do."""

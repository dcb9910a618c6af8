"""KEY: API keys. Verified whole, stored hashed, ended in time, and never spread."""

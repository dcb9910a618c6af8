"""DOC: the published description held against what the service does."""

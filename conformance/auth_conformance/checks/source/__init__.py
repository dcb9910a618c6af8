"""SRC: what the source of the service says. Everything that needs no running service, and what running it proves."""

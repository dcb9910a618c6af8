"""The lifecycle of credentials as stories: a model says what must be alive, and every step is played for real."""

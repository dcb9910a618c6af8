"""A small notes service whose authentication is written as it should be.

Serve it with `uvicorn --factory reference_app:create_app`; the one variable that it needs is `SECRET_KEY`.
"""

from .routes import create_app

__all__ = ["create_app"]

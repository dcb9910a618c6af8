"""Accounts in the examples of a source tree."""

from auth_conformance.oracles.examples import example_accounts

TEMPLATE = """
# first account
FIRST_SUPERUSER=boss@corp.example
FIRST_SUPERUSER_PASSWORD="change this"  # really
export ADMIN_USERNAME='root'
ADMIN_PASSWORD=Spring-2024 # for now
POSTGRES_USER=postgres
POSTGRES_PASSWORD=postgres
SMTP_USER=mailer
SMTP_PASSWORD=secret
DEMO_EMAIL=demo@corp.example
DEMO_PASSWORD=<choose one>
OPS_USER=
OPS_PASSWORD=something
SECRET_KEY=changethis
"""


def test_names_and_passwords_that_belong_together() -> None:
    assert list(example_accounts(TEMPLATE)) == [("boss@corp.example", "change this"), ("root", "Spring-2024")]

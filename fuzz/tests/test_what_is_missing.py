"""What a grammar lacks is told with the line that supplies it, or as what the service has not."""

import pytest

from auth_conformance.credentials import Carrier, Kind
from auth_conformance.model import Need, Skipped
from auth_conformance.target import Target
from auth_fuzz import rules
from auth_fuzz.grammars import missing
from auth_fuzz.ledger import Ledger

EVERYWHERE = tuple(Carrier(kind, "header", kind.value) for kind in Kind)


def told(kind: Kind, target: Target) -> Skipped:
    """The verdict of the rule of headers where a credential of this kind is missing."""
    verdict, ledger = missing(kind, target).verdict, Ledger([rules.HEADER])
    assert isinstance(verdict, Skipped)
    ledger.absent(verdict.reason, verdict.remedy, applicable=verdict.applicable)
    found = ledger.results()[0].verdict
    assert isinstance(found, Skipped)
    return found


@pytest.mark.parametrize("kind", Kind)
def test_a_credential_that_nobody_gave_is_told_with_a_line_of_configuration(kind: Kind) -> None:
    found = told(kind, Target("app", "shop:app", carriers=EVERYWHERE, has_document=True))
    assert found.applicable
    assert found.remedy.startswith("[accounts.a]\n")
    assert found.reason == f"Not tested: no {kind.value} credential is known."


@pytest.mark.parametrize("kind", [Kind.BEARER, Kind.BASIC])
def test_what_the_service_has_not_needs_no_line(kind: Kind) -> None:
    absent = {Need.BEARER: "the document declares no bearer credential, and no login issued one."}
    found = told(kind, Target("app", "shop:app", absent=absent, has_document=True))
    assert not found.applicable
    assert found.remedy == ""
    assert found.reason.startswith("Not applicable: ")

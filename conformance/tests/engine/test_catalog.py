"""The catalogue: what every check owes its reader, and how checks are chosen and masked."""

import itertools
from pathlib import Path

import pytest

from auth_conformance import catalog
from auth_conformance.model import Impact, Need
from auth_conformance.probe import Probe
from auth_conformance.runner import batches, phase
from auth_conformance.sdk import Check

CATALOGUE = catalog.load()
FAMILIES = {
    "TOK": "token",
    "KEY": "apikey",
    "SES": "session",
    "CRD": "login",
    "AUZ": "access",
    "MIX": "schemes",
    "ERR": "errors",
    "WEB": "browser",
    "DOC": "contract",
    "STO": "storage",
    "SRC": "source",
    "LIF": "lifecycle",
}
FIRST = [
    "TOK101",
    "TOK102",
    "TOK110",
    "TOK113",
    "TOK114",
    "TOK116",
    "TOK201",
    "TOK202",
    "TOK208",
    "TOK210",
    "KEY101",
    "KEY111",
    "STO104",
    "SES102",
    "SES103",
    "SES104",
    "SES110",
    "CRD109",
    "CRD112",
    "AUZ101",
    "AUZ104",
    "MIX101",
    "MIX104",
    "ERR101",
    "ERR103",
    "ERR104",
    "ERR108",
    "WEB101",
    "DOC101",
    "LIF101",
    "LIF107",
]


def test_the_first_checks_exist() -> None:
    assert set(FIRST) <= set(CATALOGUE)


@pytest.mark.parametrize("check", CATALOGUE.values(), ids=CATALOGUE)
class TestEachCheck:
    def test_stands_in_the_folder_of_its_family_and_has_the_name_of_its_file(self, check: Check) -> None:
        path = Path(check.source)
        assert path.parent.name == FAMILIES[check.rule.family]
        assert path.stem == check.procedure.__name__

    def test_has_a_page_that_says_why_how_and_how_to_fix(self, check: Check) -> None:
        rule = check.rule
        assert "must" in rule.requirement
        assert rule.requirement.endswith(".")
        assert min(len(rule.why), len(rule.how), len(rule.fix)) > 20
        assert "`" in rule.fix
        assert not rule.title.endswith(".")

    def test_cites_a_requirement_and_a_weakness(self, check: Check) -> None:
        kinds = {reference.kind for reference in check.rule.references}
        assert kinds & {"ASVS", "RFC"}
        assert "CWE" in kinds

    def test_moves_the_clock_only_alone(self, check: Check) -> None:
        if check.rule.impact is Impact.DISRUPTS:
            assert check.rule.exclusive
        if Need.CLOCK in check.rule.needs:
            assert check.rule.exclusive


def test_selection_takes_codes_and_families() -> None:
    codes = {
        check.rule.code for check in catalog.select(CATALOGUE, only=["ses", "TOK101"], ignore=["SES103"])
    }
    assert codes == {"TOK101"} | {code for code in CATALOGUE if code.startswith("SES")} - {"SES103"}
    assert all(check.rule.level == 1 for check in catalog.select(CATALOGUE, level=1))
    with pytest.raises(catalog.UnknownCodeError, match="TOK101"):
        catalog.select(CATALOGUE, only=["TOK999"])


def test_masks_reach_ranges_and_everything_that_asks_the_witness() -> None:
    checks = list(CATALOGUE.values())
    by_signature = catalog.masked_by(CATALOGUE["TOK102"], checks)
    assert {"TOK110", "TOK116", "TOK201", "TOK208"} <= by_signature
    assert not by_signature & {"TOK101", "TOK102", "KEY101"}
    assert {"TOK102", "TOK110"} <= catalog.masked_by(CATALOGUE["TOK101"], checks)


def test_roots_go_first_alone_and_disturbers_last() -> None:
    order = batches(CATALOGUE.values())
    flat = [check.rule.code for batch in order for check in batch]
    assert sorted(flat) == sorted(CATALOGUE)
    assert [code for code in flat if code in catalog.ROOTS] == flat[
        : sum(code in catalog.ROOTS for code in flat)
    ]
    last = [code for code in flat if code in catalog.LAST]
    assert flat[-len(last) :] == last
    assert flat[-1] == "WEB112"
    for batch in order:
        if len(batch) > 1:
            assert not any(check.rule.exclusive or check.rule.masks for check in batch)
    phases = [phase(batch[0].rule) for batch in order]
    assert phases == sorted(phases)


def test_no_two_sentences_of_the_probe_hide_each_other() -> None:
    # The probe is made of many classes: of two methods with one name the first would silently win in both.
    owners: dict[str, list[type]] = {}
    for part in Probe.__mro__[1:-1]:
        for name, value in vars(part).items():
            if callable(value) and not name.startswith("__"):
                owners.setdefault(name, []).append(part)
    clashes = {
        name: [part.__name__ for part in parts]
        for name, parts in owners.items()
        if any(not issubclass(one, other) for one, other in itertools.pairwise(parts))
    }
    assert clashes == {}

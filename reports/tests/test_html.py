from __future__ import annotations

import base64
import hashlib
import re
from dataclasses import replace
from html.parser import HTMLParser
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest

from auth_conformance.document import from_document, to_document
from auth_conformance.model import Decision, Failed, Role, Severity, Violation
from auth_reports.html import LARGEST, render

if TYPE_CHECKING:
    from types import ModuleType

VOID = {"meta", "img", "br", "input", "link", "hr"}
SECTIONS = (
    "level",
    "findings",
    "unclear",
    "untested",
    "coverage",
    "results",
    "standards",
    "target",
    "run",
)


class Page(HTMLParser):
    """Reads a page strictly: every tag is closed in order."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.raw: dict[str, str] = {}
        self.text: list[str] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert len(attrs) == len(dict(attrs)), f"attribute twice in {tag}"
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] in {"style", "script"}:
            assert self.open[-1] not in self.raw
            self.raw[self.open[-1]] = data
        else:
            self.text.append(data)

    @property
    def words(self) -> str:
        return " ".join("".join(self.text).split())

    def attributes(self, name: str) -> list[str]:
        return [attributes[name] or "" for _, attributes in self.elements if name in attributes]


@pytest.fixture(params=["verdicts", "hostile", "nothing", "flood"])
def page(request: pytest.FixtureRequest, sample: ModuleType) -> Page:
    match request.param:
        case "verdicts":
            return Page(render(sample.run()))
        case "hostile":
            return Page(render(sample.run(sample.hostile(), note=" ".join(sample.HOSTILE))))
        case "nothing":
            return Page(render(sample.run((), decision=Decision(3, "Nothing was tested."))))
        case _:
            return Page(render(sample.run(sample.flood(20, 20_000))))


def test_page_carries_no_inline_style_and_no_event_handler(page: Page) -> None:
    for tag, attributes in page.elements:
        assert not [name for name in attributes if name == "style" or name.startswith("on")], tag


def test_page_asks_nothing_of_the_outside(page: Page) -> None:
    assert page.attributes("src") == []
    assert {tag for tag, _ in page.elements} & {"img", "link", "iframe", "object", "form", "base"} == set()
    for tag, attributes in page.elements:
        target = attributes.get("href")
        if target is None:
            continue
        assert tag == "a"
        data = target.startswith("data:text/x-python;base64,") and "download" in attributes
        assert data or target.startswith(("#", "https://")), target
        if target.startswith("https://"):
            assert attributes["rel"] == "noreferrer"
    assert "url(" not in page.raw["style"]
    assert "@import" not in page.raw["style"]


def test_policy_names_exactly_the_style_and_the_script_of_the_page(page: Page) -> None:
    policy = next(item for item in page.attributes("content") if item.startswith("default-src"))
    hashes = {
        name: base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        for name, text in page.raw.items()
    }
    assert policy == (
        f"default-src 'none'; style-src 'sha256-{hashes['style']}'; script-src 'sha256-{hashes['script']}'; "
        "img-src data:; base-uri 'none'; form-action 'none'"
    )


def test_every_section_is_there_in_order(page: Page) -> None:
    found = [attributes.get("id") for tag, attributes in page.elements if tag == "section"]
    assert tuple(found) == SECTIONS


def test_ids_are_unique_and_links_inside_the_page_lead_somewhere(page: Page) -> None:
    ids = page.attributes("id")
    assert len(ids) == len(set(ids))
    for target in page.attributes("href"):
        assert not target.startswith("#") or target[1:] in ids


def test_headings_and_tables_speak_to_a_screen_reader(page: Page) -> None:
    levels = [int(tag[1]) for tag, _ in page.elements if re.fullmatch(r"h[1-6]", tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))
    assert all("scope" in attributes for tag, attributes in page.elements if tag == "th")
    assert all(attributes.get("tabindex") == "0" for tag, attributes in page.elements if tag == "pre")
    assert all(attributes.get("aria-label") for tag, attributes in page.elements if tag == "svg")
    assert page.elements[0] == ("html", {"lang": "en"})
    assert "Skip to the findings" in page.words


def test_hostile_text_is_shown_and_never_run(sample: ModuleType) -> None:
    text = render(sample.run(sample.hostile(), note=" ".join(sample.HOSTILE)))
    for attack in (sample.SCRIPT, sample.QUOTES, "<img", "\x1b", "\x07", "\u202e", "\u2066", "\u200b"):
        assert attack not in text
    assert text.count("</script>") == 1
    words = Page(text).words
    for shown in (
        sample.SCRIPT,
        sample.TEMPLATE,
        "⟦U+001B⟧[31mred⟦U+0007⟧",
        "safe⟦U+202E⟧gnp.exe",
        "⟦U+DCFF⟧",
    ):
        assert shown in words
    text.encode()


def test_a_link_that_is_not_https_is_only_text(sample: ModuleType) -> None:
    text = render(sample.run(sample.hostile()))
    assert "javascript:" not in text
    assert Page(text).words.count("CC BY-SA 4.0") == 1


def test_every_verdict_is_a_word_of_the_page(sample: ModuleType) -> None:
    words = Page(render(sample.run())).words
    for word in ("Passed", "Failed", "Inconclusive", "Errored", "Not tested", "Not applicable", "Masked"):
        assert word in words
    assert "masked by TOK110" in words


@pytest.mark.parametrize(
    ("code", "word"), [(0, "Passed"), (1, "Failed"), (2, "Incomplete"), (3, "Incomplete")]
)
def test_banner_says_what_the_gate_says(sample: ModuleType, code: int, word: str) -> None:
    text = render(sample.run((), decision=Decision(code, "Because of `this`.")))
    page = Page(text)
    assert f"<title>{word}: " in text
    assert ("header", {"class": f"banner {word.lower()}"}) in page.elements
    assert "Because of this." in page.words


def test_gravest_finding_is_linked_from_the_banner(sample: ModuleType) -> None:
    text = render(sample.run())
    banner = text[text.index("<header") : text.index("</header>")]
    assert banner.index('href="#finding-TOK110"') < banner.index('href="#finding-AUZ101"')
    assert banner.index('href="#finding-AUZ101"') < banner.index('href="#finding-WEB104"')


def test_findings_of_one_code_share_one_text(sample: ModuleType) -> None:
    page = Page(render(sample.run()))
    articles = [attributes for tag, attributes in page.elements if tag == "article"]
    assert sum(item.get("id") == "finding-AUZ101" for item in articles) == 1
    assert "3 places" in page.words


def test_control_stands_beside_the_attack_and_the_difference_is_marked(sample: ModuleType) -> None:
    text = render(sample.run())
    finding = text[text.index('id="finding-TOK110"') : text.index('id="finding-AUZ101"')]
    assert finding.index("Control: accepted") < finding.index("Attack: accepted")
    assert "Attack: rejected" in finding
    assert "seen 2 times" in finding
    marked = re.findall("<mark>(.*?)</mark>", finding)
    assert marked
    assert all(line.startswith("Authorization: ") for line in marked)


def test_the_proof_of_a_pass_can_be_read(sample: ModuleType) -> None:
    words = Page(render(sample.run())).words
    assert "3 controls: 2 accepted, 1 rejected; 24 attacks delivered: 24 rejected" in words
    assert "live token of A, again" in words


def test_what_is_not_tested_says_what_would_change_it(sample: ModuleType) -> None:
    words = Page(render(sample.run())).words
    assert "No second user is known. (3 checks) Name one in auth-conformance.toml:" in words
    assert 'password_env = "BOB_PASSWORD"' in words


def test_five_hundred_findings_stay_below_the_limit_with_evidence_for_each(sample: ModuleType) -> None:
    text = render(sample.run(sample.flood()))
    assert len(text.encode()) < LARGEST
    assert text.count("Attack: accepted") >= 500


def test_on_paper_only_the_gravest_have_their_evidence(sample: ModuleType) -> None:
    text = render(sample.run(sample.flood(70, 10)))
    assert text.count(' brief"') == 20 + 20
    assert text.count(' brief listed"') == 10
    assert "the first 60 their fix" in Page(text).words
    assert "On paper" not in Page(render(sample.run())).words


def test_findings_of_one_rule_at_one_operation_are_one_place(sample: ModuleType) -> None:
    run = sample.run()
    result = next(item for item in run.results if item.findings)
    operations = ["POST /register"] * 3 + ["POST /password"]
    severities = [None, Severity.LOW, None, None]
    violations = tuple(
        Violation(operation, f"it takes password {number}", severity)
        for number, (operation, severity) in enumerate(zip(operations, severities, strict=True))
    )
    failed = replace(result, source=None, verdict=Failed(violations, (), ()))
    page = Page(render(replace(run, results=(failed,))))
    assert "4 findings at 2 operations, listed below" in page.words
    assert "3 findings at POST /register" in page.words
    assert "low it takes password 1" in page.words


def test_controls_of_other_operations_are_no_evidence_of_a_finding(sample: ModuleType) -> None:
    result = next(item for item in sample.flood(1, 10))
    for operation, shown in (("GET /things/0", True), ("GET /undescribed", False)):
        controls = tuple(replace(item, role=Role.CONTROL) for item in result.verdict.evidence)
        verdict = Failed((Violation(operation, "It has no summary."),), controls, ())
        text = render(sample.run((replace(result, verdict=verdict),)))
        assert ("As a curl command" in text) is shown


def test_of_equal_findings_those_that_got_somebody_in_come_first(sample: ModuleType) -> None:
    plain, entered = sample.flood(2, 10)
    violation = Violation("GET /things/0", "It has no summary.")
    plain = replace(plain, verdict=Failed((violation,), plain.verdict.evidence[:1], ()))
    codes = [item.code for item in sample.run((plain, entered)).findings]
    assert codes == ["FLD001", "FLD000"]


def test_a_body_with_a_digest_in_it_is_not_said_to_be_cut(sample: ModuleType) -> None:
    result = next(item for item in sample.flood(1, 10))
    evidence = tuple(
        replace(item, reply=replace(item.reply, size=4_000, body='{"key": "..."}'))
        for item in result.verdict.evidence
    )
    verdict = replace(result.verdict, evidence=evidence)
    assert "bytes shown" not in render(sample.run((replace(result, verdict=verdict),)))


def test_a_long_body_is_cut_and_says_so(sample: ModuleType) -> None:
    text = render(sample.run(sample.flood(1, 50_000)))
    assert re.search(r"reply body: \d{4} of \d+ bytes shown", text)
    assert max(len(line) for line in Page(text).text) < 9_000


def test_the_page_reads_the_same_from_the_json_document(sample: ModuleType) -> None:
    run = sample.run()
    again = from_document(to_document(run))
    assert render(again) == render(run)

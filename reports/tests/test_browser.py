"""The page in a real browser: no error, no request, filters that filter, nothing that a screen reader trips over."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from dataclasses import replace
from html import unescape
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from auth_reports.html import render

if TYPE_CHECKING:
    from types import ModuleType

    from auth_conformance.model import Run

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium: apt-get install chromium")

RUNS = ("clean", "three", "hostile", "many")
# What the page is asked once it has run its own script; the answer stands in the element's text.
AXE = """
var style = document.createElement("style");
// This axe takes what is scrolled out of its box, or folded, for something that lies under the next paragraph.
document.querySelectorAll("details").forEach(function (one) { one.open = true; });
style.textContent = "pre { max-height: none !important; }";
document.head.appendChild(style);
axe.run(document, {resultTypes: ["violations"]}).then(function (found) {
  var told = found.violations.map(function (one) {
    return one.id + ": " + one.nodes[0].html.slice(0, 200) + " " + one.nodes[0].failureSummary;
  });
  var out = document.createElement("output");
  out.id = "answer";
  out.textContent = JSON.stringify(told);
  document.body.appendChild(out);
});
"""
FILTER = """
var field = document.getElementById("filter-text");
var rows = function () { return document.querySelectorAll("#results-table tbody:not([hidden])").length; };
var before = rows();
field.value = "TOK110";
field.dispatchEvent(new Event("input", {bubbles: true}));
var out = document.createElement("output");
out.id = "answer";
out.textContent = JSON.stringify([before, rows(), document.getElementById("filter").hidden]);
document.body.appendChild(out);
"""


def page(sample: ModuleType, name: str) -> str:
    run: Run = sample.run()
    if name == "clean":
        run = replace(run, results=tuple(item for item in run.results if item.name == "passed"))
    if name == "hostile":
        run = sample.run(sample.hostile(), note=" ".join(sample.HOSTILE))
    if name == "many":
        run = sample.run(sample.flood(500, 2_000))
    return render(run)


def browse(text: str, folder: Path, *flags: str) -> tuple[str, str]:
    """The document after its scripts have run, and what the browser logged."""
    path = folder / "page.html"
    path.write_bytes(text.encode("utf-8", "replace"))
    command = [
        *(str(CHROMIUM), "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
        *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
        *(f"--user-data-dir={folder / 'profile'}", "--enable-logging=stderr", "--virtual-time-budget=20000"),
        *("--host-resolver-rules=MAP * ~NOTFOUND", f"--log-net-log={folder / 'net.json'}"),
        *flags,
        *("--dump-dom", path.as_uri()),
    ]
    done = subprocess.run(command, capture_output=True, timeout=120, check=True)
    return done.stdout.decode(), done.stderr.decode("utf-8", "replace")


def hosts(folder: Path) -> set[str]:
    """The hosts that the page wanted to ask, or to be connected to; the browser asks others for updates of its own."""
    log = (folder / "net.json").read_text("utf-8", "replace")
    shown = (folder / "page.html").read_text("utf-8", "replace")
    named = {host for host in re.findall(r'"url":"https?://([^/":]+)', log) if f"//{host}" in shown}
    by_page = r'"initiator":"(?!not an origin")[^"]*".*"url":"https?://([^/":]+)'
    return named | set(re.findall(by_page, log))


def answer(text: str, script: str, folder: Path, *flags: str) -> Any:
    """What `script` finds on the page. It runs beside the page's own, so the policy is taken out first."""
    text = re.sub(r'<meta http-equiv="Content-Security-Policy"[^>]*>', "", text)
    body, end = text.rsplit("</body>", 1)
    dom, _ = browse(f"{body}<script>{script}</script></body>{end}", folder, *flags)
    found = re.search(r'<output id="answer">(.*?)</output>', dom, re.DOTALL)
    assert found is not None, dom[-2000:]
    return json.loads(unescape(found[1]))


def test_what_a_page_asks_for_is_seen(tmp_path: Path) -> None:
    browse(
        "<script>fetch('https://' + 'one.example.com/')</script><img src=https://two.example.com/x>", tmp_path
    )
    assert hosts(tmp_path) == {"one.example.com", "two.example.com"}


@pytest.mark.parametrize("name", RUNS)
def test_no_error_and_no_request(sample: ModuleType, name: str, tmp_path: Path) -> None:
    dom, log = browse(page(sample, name), tmp_path)
    assert '<section id="findings"' in dom
    console = [line for line in log.splitlines() if ":CONSOLE" in line]
    assert not console, console
    assert hosts(tmp_path) == set()


def test_the_filter_leaves_what_was_asked_for(sample: ModuleType, tmp_path: Path) -> None:
    before, after, hidden = answer(page(sample, "three"), FILTER, tmp_path)
    assert before > after >= 1
    assert hidden is False


def test_paper_holds_findings_and_not_each_proof(sample: ModuleType, tmp_path: Path) -> None:
    paper = tmp_path / "page.pdf"
    browse(page(sample, "three"), tmp_path, "--no-pdf-header-footer", f"--print-to-pdf={paper}")
    assert 1 <= len(re.findall(rb"/Type /Page\b", paper.read_bytes())) < 15


@pytest.mark.parametrize(("name", "scheme"), [("clean", "light"), ("three", "light"), ("three", "dark")])
def test_nothing_stands_in_the_way_of_a_screen_reader(
    sample: ModuleType, name: str, scheme: str, tmp_path: Path
) -> None:
    axe = resources.files("axe_core_python").joinpath("axe.min.js").read_text("utf-8")
    flags = ("--force-dark-mode", "--blink-settings=preferredColorScheme=0") if scheme == "dark" else ()
    assert answer(page(sample, name), f"{axe};{AXE}", tmp_path, *flags) == []

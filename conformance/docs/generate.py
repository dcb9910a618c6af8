"""Writes one page per check from its docstring and its seeded flaw, and the page of the configuration.

`--check` names stale pages instead.

The change shown on a page is the flaw that the kill tests seed, so every example is one that was proved.
"""

import argparse
import difflib
import sys
from pathlib import Path

import configuration

from auth_conformance import catalog
from auth_conformance.sdk import Check
from auth_conformance.testing import Flaw, load_flaws

HERE = Path(__file__).parent
PAGES = HERE / "checks"


def change(flaw: Flaw) -> str:
    """The flaw as a diff."""
    lines: list[str] = []
    for edit in flaw.edits:
        lines.append(f"--- {edit.file}")
        old, new = edit.was.strip("\n").splitlines(), edit.now.strip("\n").splitlines()
        lines += [line for line in difflib.ndiff(old, new) if not line.startswith("?")]
    return "\n".join(line.rstrip() for line in lines)


def page(check: Check, flaws: list[Flaw]) -> str:
    """The page of a check in Markdown."""
    rule = check.rule
    path = Path(check.source)
    mine = [
        flaw for flaw in flaws if flaw.chapter == path.parent.name and flaw.name.split(".")[0] == path.stem
    ]
    needs = ", ".join(need.value for need in rule.needs) or "nothing"
    parts = [
        f"# {rule.code} {rule.title}",
        " · ".join(
            [
                f"`{rule.name}`",
                rule.severity.value,
                f"ASVS level {rule.level}",
                f"{rule.depth.value} box",
                rule.impact.value,
                f"at most {rule.budget} requests",
                f"needs {needs}",
            ],
        ),
        rule.requirement,
        f"**Why.** {rule.why}",
        f"**How it is tested.** {rule.how}",
        f"**Fix.** {rule.fix}",
    ]
    caught = [flaw for flaw in mine if not flaw.sound]
    if caught:
        parts.append("## A change that it catches")
        for flaw in caught:
            parts += [flaw.title, f"```diff\n{change(flaw)}\n```"]
    sound = [flaw for flaw in mine if flaw.sound]
    if sound:
        parts.append("## What it does not accuse")
        parts.append("\n".join(f"- {flaw.title}" for flaw in sound))
    parts.append("## References")
    parts.append("\n".join(f"- [{ref.label}]({ref.url})" for ref in rule.references))
    return "\n\n".join(parts) + "\n"


def index(checks: list[Check]) -> str:
    """The list of all checks."""
    rows = [
        f"| [{rule.code}]({rule.code}.md) | {rule.title} | {rule.severity.value} | {rule.level} |"
        for rule in (check.rule for check in checks)
    ]
    return "\n".join(["# Checks", "", "| Code | Flaw | Severity | Level |", "|---|---|---|---|", *rows, ""])


def main() -> int:
    """Write the pages, or say which are stale."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 and name stale pages")
    arguments = parser.parse_args()
    checks, flaws = list(catalog.load().values()), load_flaws()
    wanted = {PAGES / f"{check.rule.code}.md": page(check, flaws) for check in checks}
    wanted[PAGES / "README.md"] = index(checks)
    wanted[HERE / "configuration.md"] = configuration.page()
    found = {path: path.read_text("utf-8") for path in [*PAGES.glob("*.md"), *HERE.glob("*.md")]}
    stale = sorted(path for path in wanted.keys() | found.keys() if wanted.get(path) != found.get(path))
    if arguments.check:
        for path in stale:
            print(f"stale: {path.relative_to(HERE)}; run conformance/docs/generate.py")
        return 1 if stale else 0
    PAGES.mkdir(exist_ok=True)
    for path in stale:
        if path in wanted:
            path.write_text(wanted[path], "utf-8")
        else:
            path.unlink()
    print(f"{len(wanted)} pages, {len(stale)} changed")
    return 0


if __name__ == "__main__":
    sys.exit(main())

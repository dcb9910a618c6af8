"""What a run must not tell anybody, and the reports that could tell it."""

import importlib
from pathlib import Path

import auth_conformance
from auth_conformance.model import Run
from auth_conformance.secret import Secret
from auth_conformance.transports.redaction import Redactor
from auth_reports.regression import NotWritten, regression
from auth_reports.writing import FORMATS


def spellings_of_secrets(redactor: Redactor) -> set[str]:
    """What must stand nowhere; the common passwords that checks try stand in our own sources and are none."""
    package = Path(auth_conformance.__file__).parent
    public = "\n".join(
        path.read_text("utf-8") for path in package.rglob("*") if path.suffix in {".txt", ".toml", ".py"}
    )
    mine = Redactor()
    for text in redactor._learned:
        if text not in public:
            mine.learn(Secret(text))
    return set(mine._known)


def reports(run: Run) -> dict[str, str]:
    """Every report of the run and every regression test of its findings, by name."""
    texts = {name: importlib.import_module(module).render(run) for name, module in FORMATS.items()}
    made = [regression(finding, run) for finding in run.findings]
    return texts | {item.name: item.text for item in made if not isinstance(item, NotWritten)}


def tellers(run: Run, secrets: set[str]) -> list[str]:
    """The reports of the run in which one of the secrets stands."""
    return [name for name, text in reports(run).items() if any(secret in text for secret in secrets)]

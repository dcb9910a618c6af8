"""A target that is discovered, written by `init` and read back is the same target.

A plain run does it for three services whose logins need steps, a CSRF token or a step word; with
`ROUND_TRIP=whole` it is done for every service of the zoo.
"""

import os
import sys
import tomllib
from dataclasses import replace
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parents[1]))

from zoo.essence import essence
from zoo.facts import Animal, animals, learn, settings_for
from zoo.serving import running

from auth_conformance.discovery.writing import as_toml

PLAIN = ("flows", "site", "tasks")
CHOSEN = [item for item in animals() if item.name in PLAIN or os.environ.get("ROUND_TRIP") == "whole"]


@pytest.mark.parametrize("animal", CHOSEN, ids=lambda animal: animal.name)
def test_the_written_file_leads_to_the_same_target(animal: Animal, tmp_path: Path) -> None:
    with running(animal.service) as url:
        found, requests = learn(animal, url, tmp_path)
        text = as_toml(found, settings_for(animal, tmp_path))
        (tmp_path / "auth-conformance.toml").write_text(text, "utf-8")
        written = {key: value for key, value in tomllib.loads(text).items() if key not in ("url", "accounts")}
        again, fewer = learn(replace(animal, lines=written), url, tmp_path)
    assert essence(again) == essence(found), text
    assert fewer <= requests

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from auth_conformance.model import Derivation, Request, Signing
from auth_reports.html.curl import curl

if TYPE_CHECKING:
    from pathlib import Path

DIGEST = "\u2039sha256:0123456789ab\u203a"
OTHER = '\u2039jwt {"alg": "none"} claims sub exp sha256:ba9876543210\u203a'


def test_secrets_become_variables_named_for_what_they_are() -> None:
    request = Request(
        "POST",
        f"https://shop.example/a?api_key={DIGEST}&x=1",
        (
            ("Authorization", f"Bearer {OTHER}"),
            ("Cookie", f"session={DIGEST}; a=b"),
            ("Host", "shop.example"),
        ),
        f'{{"password": "{OTHER}x", "n": 1}}',
    )
    made = curl(request)
    assert '"https://shop.example/a?api_key=${API_KEY}&x=1"' in made.command
    assert '-H "Authorization: Bearer ${TOKEN}"' in made.command
    assert '-H "Cookie: session=${API_KEY}; a=b"' in made.command
    assert "sha256" not in made.command
    assert "Host" not in made.command
    assert made.placeholders == (
        ("$API_KEY", f"the value shown as {DIGEST}"),
        ("$TOKEN", f"the value shown as {OTHER}"),
    )


def test_two_secrets_of_a_kind_get_two_names() -> None:
    made = curl(Request("GET", "https://a.example/", (("Authorization", DIGEST), ("Authorization", OTHER))))
    assert [name for name, _ in made.placeholders] == ["$TOKEN", "$TOKEN_2"]


def test_the_origin_of_an_application_is_a_variable() -> None:
    made = curl(Request("GET", "https://testserver/me?x=$HOME"), base="BASE_URL")
    assert """"$BASE_URL"'/me?x=$HOME'""" in made.command
    assert curl(Request("GET", "*"), base="BASE_URL").placeholders == ()


def test_a_path_as_runs_record_it_gets_the_address_of_the_target() -> None:
    made = curl(Request("GET", "/me"), base="https://shop.example/api/")
    assert made.command.endswith("-X GET https://shop.example/api/me")
    assert curl(Request("GET", "/me"), base="BASE_URL").command.endswith('"${BASE_URL}/me"')


def test_a_body_too_long_for_a_command_line_is_a_variable() -> None:
    made = curl(Request("POST", "https://a.example/", (), "x" * 5000))
    assert '--data-raw "${BODY}"' in made.command
    assert made.placeholders[0][0] == "$BODY"


def test_an_empty_header_is_sent_and_not_removed() -> None:
    assert (
        "-H 'Authorization;'" in curl(Request("GET", "https://a.example/", (("Authorization", ""),))).command
    )


def _words_of(command: str, folder: Path) -> list[str]:
    """Let bash parse the command, with a program in the place of curl that tells its arguments."""
    told = folder / "told.json"
    script = f"import json,sys; open({str(told)!r},'w').write(json.dumps(sys.argv[1:]))"
    shell = (
        'curl() { "$PYTHON" -c "$SCRIPT" "$@"; }\n'
        "TOKEN=live SECRET=live PASSWORD=live API_KEY=live SESSION=live REFRESH_TOKEN=live CSRF_TOKEN=live\n"
    )
    subprocess.run(
        ["/bin/bash", "-c", shell + command],
        check=True,
        env={"PYTHON": sys.executable, "SCRIPT": script, "LC_ALL": "C.UTF-8", "PYTHONUTF8": "1"},
        cwd=folder,
        timeout=30,
    )
    words: list[str] = json.loads(told.read_text("utf-8"))
    return words


HOSTILE = st.text(
    st.sampled_from("ab'\"$`\\!;&|<>(){}[]*?~#\n\t\r\x1b \u202e\u00e9\U0001f600=:@"), max_size=40
)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(HOSTILE, HOSTILE, HOSTILE)
def test_no_shell_interprets_what_a_target_wrote(tmp_path: Path, path: str, value: str, body: str) -> None:
    url = f"https://a.example/{path}"
    made = curl(
        Request("POST", url, (("X-Odd", f"v{value}"), ("Authorization", f"Bearer {DIGEST}")), f"b{body}")
    )
    assert _words_of(made.command, tmp_path) == [
        "-i", "-g", "--path-as-is", "-X", "POST", url,
        "-H", f"X-Odd: v{value}",
        "-H", "Authorization: Bearer live",
        "--data-raw", f"b{body}",
    ]  # fmt: skip


def test_what_the_attacker_made_is_made_again() -> None:
    live = "eyJhIjoxfQ.eyJiIjoyfQ.c2ln"
    for recipe, wanted in (
        (
            Derivation("ba9876543210", "0123456789ab", ("e30'", ".", (1, 2), ".", ""), parts=True),
            "e30'.eyJiIjoyfQ.",
        ),
        (
            Derivation("ba9876543210", "0123456789ab", ((0, 4), "$(id)", (10, 26))),
            "eyJh$(id).eyJiIjoyfQ.c2ln",
        ),
        (Derivation("ba9876543210", "", ("null",)), "null"),
    ):
        request = Request("GET", "https://h/", (("Authorization", f"Bearer {OTHER}"),), None, (recipe,))
        ((name, text),) = curl(request).placeholders
        assert name == "$TOKEN"
        line = text[text.index("TOKEN=") :]
        command = ["bash", "-c", f'{line}; printf %s "$TOKEN"']
        done = subprocess.run(
            command, env={"LIVE": live, "PATH": os.environ["PATH"]}, capture_output=True, check=True
        )
        assert done.stdout.decode() == wanted
    signing = Signing("c0ffee", "sha256")
    for recipe in (
        Derivation("ba9876543210", "0123456789ab", (), parts=True, signed=signing),
        Derivation("ba9876543210", "0123456789ab", ((0, -4),)),
    ):
        request = Request("GET", "https://h/", (("Authorization", f"Bearer {OTHER}"),), None, (recipe,))
        assert "the exported test makes it" in curl(request).placeholders[0][1]

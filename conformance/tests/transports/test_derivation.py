from __future__ import annotations

import pytest

from auth_conformance.transports.derivation import derive, digest_of

HEAD, CLAIMS, SIGNED = "eyJhbGciOiJIUzI1NiJ9", "eyJzdWIiOiJhbGljZSJ9", "XBV5of_gIHISSpLmhqjB6TIPZ30f"
TOKEN = f"{HEAD}.{CLAIMS}.{SIGNED}"


@pytest.mark.parametrize(
    ("text", "pieces"),
    [
        (f"{HEAD}.{CLAIMS}.", ((0, 1), ".", (1, 2), ".", "")),
        (f"eyJub25lIn0.{CLAIMS}.{SIGNED}", ("eyJub25lIn0", ".", (1, 2), ".", (2, 3))),
        (f'"Bearer {TOKEN}"', ('"Bearer ', (0, 3), '"')),
        (f"Bearer {TOKEN}", ("Bearer ", (0, 3))),
    ],
)
def test_a_recipe_names_places_of_the_live_token(text: str, pieces: tuple[object, ...]) -> None:
    recipe = derive(text, [TOKEN])
    assert recipe is not None
    assert recipe.pieces == pieces
    assert recipe.base == digest_of(TOKEN)


@pytest.mark.parametrize(
    "text", [f"{HEAD}.{CLAIMS}.{SIGNED}{'x' * 40}", f"{'x' * 40}{TOKEN}", "other", TOKEN[:30]]
)
def test_what_would_spell_a_part_out_has_no_recipe(text: str) -> None:
    recipe = derive(text, [TOKEN])
    assert recipe is None or not any(SIGNED in piece for piece in recipe.pieces if isinstance(piece, str))

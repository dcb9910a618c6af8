"""Each sentence is a mixin of one object: two that use one name for two things would call each other's."""

import itertools
from collections import defaultdict

from auth_conformance.probe import Probe


def test_no_two_sentences_use_one_name_for_two_things() -> None:
    owners = defaultdict(list)
    for kind in Probe.__mro__[1:-1]:
        for name in vars(kind):
            if not name.startswith("__"):
                owners[name].append(kind)
    clashes = {
        (name, one.__name__, other.__name__)
        for name, kinds in owners.items()
        for one, other in itertools.combinations(kinds, 2)
        if not issubclass(one, other)
    }
    assert not clashes

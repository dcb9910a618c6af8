"""The probe is made of many mixins: none may quietly take another's method away."""

from auth_conformance.probe import Probe


def test_no_two_mixins_define_the_same_method() -> None:
    owners: dict[str, list[type]] = {}
    for mixin in Probe.__mro__:
        for name, value in vars(mixin).items():
            if not name.startswith("__") and (callable(value) or isinstance(value, (staticmethod, property))):
                owners.setdefault(name, []).append(mixin)
    clashes = {
        name: [mixin.__name__ for mixin in mixins] for name, mixins in owners.items() if len(mixins) > 1
    }
    assert clashes == {}

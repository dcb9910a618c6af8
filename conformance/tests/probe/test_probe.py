"""The probe is put together from many files: a name that two of them use would call the wrong one."""

from collections import Counter

from auth_conformance.probe import Probe


def test_no_two_files_give_the_probe_the_same_name() -> None:
    names = Counter(
        name
        for cls in Probe.__mro__[1:-1]
        for name in vars(cls)
        if not name.startswith("__") and name != "_abc_impl"
    )
    twice = {
        name: [cls.__name__ for cls in Probe.__mro__ if name in vars(cls)]
        for name, count in names.items()
        if count > 1
    }
    assert not twice

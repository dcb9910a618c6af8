"""How two texts may be spelled otherwise and mean the same. Needs nothing of what draws texts, which is an extra."""


def alike(made: str, text: str) -> bool:
    """Whether two texts are the same letters in another spelling: no easier to guess, and still not what was issued."""
    one, other = ("".join(filter(str.isalnum, item.replace("%20", ""))).lower() for item in (made, text))
    return one == other

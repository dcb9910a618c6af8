"""Other spellings of one path, which a router may understand where the guard in front of it does not."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Spelling:
    """A request target byte for byte, and the reason to try it."""

    target: bytes
    why: str


def path_spellings(path: str) -> list[Spelling]:
    """Targets that some reader takes for `path`, which begins with a slash and has no query."""
    head, _, last = path.rpartition("/")
    escaped = f"{head}/%{ord(last[0]):02x}{last[1:]}" if last else path
    twice = f"{head}/%25{ord(last[0]):02x}{last[1:]}" if last else path
    overlong = bytes([0xC0, 0x80 | (ord("/") & 0x3F)])
    texts = {
        f"/{path}": "two slashes before it",
        f"/.{path}": "a dot segment before it (RFC 3986 §5.2.4)",
        f"/x/..{path}": "back from another segment",
        f"/%2e{path}": "an escaped dot segment",
        f"/..;{path}": "a parameter of a dot segment: Java servers read it as ..",
        f"{path}/": "a slash behind it",
        f"{path}//": "two slashes behind it",
        f"{path};x": "a path parameter",
        f"{path}%2f": "an escaped slash behind it",
        f"{path}%00": "a NUL behind it: C libraries stop there",
        f"{path}%0a": "a line break behind it: Starlette's `$` matches before it",
        f"{path}%20": "a blank behind it",
        f"{path}%09": "a tab behind it",
        f"{path}.json": "an extension",
        f"{path}.": "a dot behind it",
        path.upper(): "capitals",
        escaped: "a letter escaped",
        twice: "a letter escaped twice",
        f"{head}\\{last}": "a backslash for the slash",
        f"{path}?": "an empty query",
        f"{path}#x": "a fragment, which clients keep to themselves",
        f"http://localhost{path}": "the absolute form (RFC 9112 §3.2.2)",
        f"{head}%2f{last}": "an escaped slash inside",
    }
    found = [Spelling(text.encode("ascii", "ignore"), why) for text, why in texts.items() if text != path]
    found.append(
        Spelling(head.encode() + overlong + last.encode(), "an overlong slash: no UTF-8 (RFC 3629 §3)")
    )
    return found


def other_versions(path: str) -> list[Spelling]:
    """The same operation where an older or a newer version, or one without the prefix, may have been left."""
    found: list[Spelling] = []
    parts = path.split("/")
    for index, part in enumerate(parts):
        if len(part) > 1 and part[0] == "v" and part[1:].isdecimal():
            for number in {int(part[1:]) - 1, int(part[1:]) + 1, 0} - {int(part[1:])}:
                if number >= 0:
                    other = "/".join([*parts[:index], f"v{number}", *parts[index + 1 :]])
                    found.append(Spelling(other.encode(), f"version {number}"))
        if part == "api":
            other = "/".join(parts[:index] + parts[index + 1 :])
            found.append(Spelling(other.encode(), "without /api"))
    return sorted(found, key=lambda item: item.target)

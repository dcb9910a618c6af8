"""CRD115."""

from auth_conformance.sdk import API, ASVS, CWE, RFC, WSTG, Impact, Need, Probe, Severity, Verdict, check


@check(
    "CRD115",
    "identifier-canonical",
    title="Another spelling of a name is another account",
    severity=Severity.CRITICAL,
    level=1,
    budget=260,
    impact=Impact.DISRUPTS,
    needs=(Need.REGISTER, Need.LOGIN),
    references=(
        ASVS("6.3.4"),
        ASVS("2.2.1"),
        ASVS("10.3.3"),
        RFC(8265, "3"),
        CWE(178),
        CWE(176),
        CWE(158),
        CWE(289),
        CWE(180),
        API(2),
        WSTG("IDNT-02"),
        WSTG("IDNT-05"),
    ),
)
async def ambiguous_name(probe: Probe) -> Verdict:
    """Spellings of a name that any step treats as equal must not be two accounts, and none must reach another's.

    Why: where registration tells Alice and alice apart and a later step does not, the second one gets the
        account, the mail or the trust of the first.
    How: register a name, and then its spellings in other case, with blanks, full-width and circled letters,
        dotless i, ligatures, invisible characters, a dot and a NUL, one character beyond the 255th, and an accent
        written apart; log in to each and compare the identity, see that the owner's password still works, and
        that resets are not mailed to look-alikes.
    Fix: one function makes the canonical form (`unicodedata.normalize('NFKC', name).casefold().strip()`, then
        an allow-list of characters), and registration, login and reset all use it; the unique constraint is
        on that column.
    """
    return await probe.must_know_names_apart()

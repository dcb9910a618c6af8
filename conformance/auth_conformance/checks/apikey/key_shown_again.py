"""KEY108."""

from auth_conformance.sdk import API, ASVS, CWE, WSTG, Impact, Need, Probe, Severity, Verdict, check


@check(
    "KEY108",
    "api-key-shown-once",
    title="API key shown again after its creation",
    severity=Severity.MEDIUM,
    level=1,
    # The checklist says 12. Three people look (the owner, another user, an administrator), each at every page that
    # may show keys, and where a page refuses the owner's login it is asked with the key itself.
    budget=50,
    impact=Impact.WRITES,
    needs=(Need.WITNESS, Need.KEY_MANAGEMENT),
    references=(ASVS("14.2.6"), ASVS("15.3.1"), ASVS("14.3.2"), API(3), CWE(522), CWE(201), WSTG("ATHN-06")),
)
async def key_shown_again(probe: Probe) -> Verdict:
    """The whole key must be told once, at its creation, in an answer that nobody stores.

    Why: what can be shown again is stored so that it can be read, by everybody who reaches the page, the
        database or the cache between.
    How: create two keys and search for them, in any encoding and as digests, in the list of keys, the record
        of each, the profile and other lists, as their owner, as another user and as administrator. Where an
        account has one key that an operation tells its owner each time, that is the finding. The secret of a client
        that people make for a program is searched for in what lists and shows clients.
    Fix: two response models: `ApiKeyCreated` with `key`, returned by the POST only, and `ApiKeyOut` with the
        prefix for everything else; `Cache-Control: no-store` on the first.
    """
    return await probe.must_show_keys_once()

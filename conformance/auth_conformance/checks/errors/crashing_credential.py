"""ERR108."""

from auth_conformance.sdk import API, ASVS, CWE, RFC, WSTG, Impact, Need, Probe, Severity, Verdict, check


@check(
    "ERR108",
    "hostile-credential-never-5xx",
    title="Credential that crashes the service",
    severity=Severity.MEDIUM,
    level=1,
    budget=200,
    needs=(Need.WITNESS,),
    impact=Impact.WRITES,
    exclusive=True,  # a crash that other checks cause at the same moment would be counted here
    references=(
        ASVS("16.5.3"),
        ASVS("16.5.4"),
        ASVS("2.2.1"),
        RFC(7617, "2.1"),
        RFC(7515, "5.2"),
        API(8),
        CWE(755),
        CWE(248),
        WSTG("ERRH-01"),
    ),
)
async def crashing_credential(probe: Probe) -> Verdict:
    """Whatever stands where a credential should stand, the service must refuse it in good order.

    Why: an exception that nobody caught is a way to fill logs, to drop connections and to learn about the
        inside, for people without an account.
    How: send a corpus of 70 odd values: bytes that are no UTF-8, tokens whose parts are arrays, numbers, or
        2 000 and 12 000 levels deep, `alg` as a list, broken base64 in Basic, quotes in cookies, keys of
        8 kB, passwords of 73 bytes. Then send again whatever got a 5xx or no answer anywhere in this run.
    Fix: catch what reading can raise where you read: `except (jwt.PyJWTError, ValueError, RecursionError):
        raise unauthorized`, and `except (binascii.Error, UnicodeDecodeError)` around Basic.
    """
    return await probe.must_survive()

"""AUZ104."""

from auth_conformance.sdk import API, ASVS, CWE, WSTG, Impact, Need, Probe, Severity, Verdict, check


@check(
    "AUZ104",
    "functions-need-privilege",
    title="Privileged operation open to ordinary users",
    severity=Severity.CRITICAL,
    level=1,
    # Some 80 for who is let in to look, where one collection lies below, and 27 for each further one.
    budget=320,
    impact=Impact.DISRUPTS,
    needs=(Need.WITNESS,),
    references=(
        ASVS("8.2.1"),
        ASVS("8.3.1"),
        ASVS("8.4.2"),
        API(5),
        CWE(862),
        CWE(863),
        WSTG("ATHZ-02"),
        WSTG("ATHZ-03"),
    ),
)
async def unguarded_privileged_function(probe: Probe) -> Verdict:
    """Operations for administrators must refuse ordinary users, with every kind of credential that they own.

    Why: one router without its dependency, and every user deletes accounts and reads everybody's data.
    How: take the operations that the policy declares privileged, those whose path, tags or scopes name
        administrators, and those that change the account which their path names. An ordinary user calls each with
        valid requests and every credential, reading before changing; changes are aimed at an expendable account.
        Its effect, or the body that an administrator gets, is the proof; the success of an administrator, or of the
        account's owner, with the same request is the control. Where no administrator is known, what is shown of A and B
        to somebody who has just registered, and to no stranger, is the proof. Whom an owner lets into an object to
        look, as a viewer, changes nothing of it or below it, gives nobody a role in it and puts nobody out.
    Fix: guard the whole router, not each function:
        `APIRouter(prefix="/admin", dependencies=[Security(require_scopes, scopes=["admin"])])`. Where people are let
        into objects, load the caller's role in the object of the path: `Depends(require_member(Role.EDITOR))`.
    """
    return await probe.must_need_privilege()

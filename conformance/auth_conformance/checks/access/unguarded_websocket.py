"""AUZ113."""

from auth_conformance.sdk import API, ASVS, CWE, RFC, WSTG, Impact, Need, Probe, Severity, Verdict, check


@check(
    "AUZ113",
    "websocket-authenticated",
    title="WebSocket open to strangers, foreign pages or ended logins",
    severity=Severity.HIGH,
    level=2,
    budget=60,
    impact=Impact.WRITES,
    exclusive=True,
    needs=(Need.WEBSOCKET, Need.LOGIN),
    references=(
        ASVS("4.4.2"),
        ASVS("4.4.3"),
        ASVS("4.4.4"),
        ASVS("7.4.1"),
        RFC(6455, "10.2"),
        API(2),
        CWE(1385),
        CWE(306),
        WSTG("CLNT-10"),
    ),
)
async def unguarded_websocket(probe: Probe) -> Verdict:
    """A WebSocket must open only for an authenticated caller from a trusted page, and close when the login ends.

    Why: dependencies that guard requests are not asked at a handshake unless they are written for it, CORS does not
        cover it, and browsers send the cookie along from every page. An open socket outlives its login.
    How: find how a live credential opens it (as in requests, in the query, for a ticket, as a subprotocol, in a first
        message) and what it then says. A ticket is used twice. Strangers, junk and a broken signature try the same,
        and A's cookie from `https://evil.example` and `null`. A refused handshake, or a close before any data, is a
        refusal. A asks for B's object by the message that has a place for an id, or by a usual one that shows A's own.
        A login ends while its socket is open.
    Fix: authenticate before `await websocket.accept()`, compare `Origin` with your own where a cookie counts, close
        with 1008 otherwise, and ask for each message whether the login still lives; load what it names by id and
        owner, `select(Item).where(Item.id == item_id, Item.owner_id == user.id)`.
    """
    return await probe.must_guard_sockets()

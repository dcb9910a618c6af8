"""Helpers that a written test carries along, where it needs them."""

from __future__ import annotations

SEND = '''def send(method, path, *, headers=(), extra=None, **body):
    """One request on a connection of its own: no cookie jar, no redirect."""
    with httpx.Client(base_url=BASE_URL, follow_redirects=False, timeout=30) as client:
        request = client.build_request(method, path, headers=[*headers, *(extra or {}).items()], **body)
        return client.send(request)
'''
# As SEND, for requests that wait for each other once they are ready to go.
SEND_TOGETHER = SEND.replace("extra=None, **body", "extra=None, gate=None, **body").replace(
    "        return client.send(request)\n",
    "        if gate is not None:\n            gate.wait(30)\n        return client.send(request)\n",
)
AT_ONCE = '''def at_once(*calls):
    """The replies to requests that are sent at the same instant, each by a thread of its own."""
    gate = threading.Barrier(len(calls))
    with ThreadPoolExecutor(len(calls)) as pool:
        return list(pool.map(lambda call: call(gate), calls))
'''
ALTERED = '''def altered(token, pieces, *, parts):
    """The credential `token`, altered: texts and ranges of it (of its parts, or of its characters)."""
    whole = token.split(".") if parts else token
    slices = (piece if isinstance(piece, str) else whole[piece[0] : piece[1]] for piece in pieces)
    return "".join(piece if isinstance(piece, str) else ".".join(piece) for piece in slices)
'''


PROBLEM = '''def problem(reply):
    """The error in a body, or in its `detail`; empty where there is none."""
    try:
        body = reply.json()
    except ValueError:
        return {}
    inner = body.get("detail") if isinstance(body, dict) and "error" not in body else body
    return inner if isinstance(inner, dict) else {}
'''
COOKIE_LINE = '''def cookie_line(reply, name):
    """The line that sets a cookie, in lower case; "" where none does."""
    lines = (line.lower() for line in reply.headers.get_list("set-cookie"))
    return next((line for line in lines if line.startswith(name.lower() + "=")), "")
'''
SIGNED = '''def signed(token, key, *, algorithm, claims=(), moments=(), fresh=(), without=(), header=None):
    """The token with other claims, signed with `key`; `moments` are claims in seconds from now."""
    old_header, payload, _ = token.split(".")
    new = json.loads(base64.urlsafe_b64decode(payload + "=="))
    new.update(claims)
    new.update({name: int(time.time()) + seconds for name, seconds in dict(moments).items()})
    new.update({name: str(uuid.uuid4()) for name in fresh})
    kept = json.dumps({name: value for name, value in new.items() if name not in without})
    message = f"{encoded(header.encode()) if header else old_header}.{encoded(kept.encode())}"
    return f"{message}.{encoded(signature(key, message.encode(), algorithm))}"


def encoded(data):
    """Base64url without padding."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
'''
# By a hash's name it is an HMAC (RFC 7518 §3.2).
SIGNATURE = '''def signature(key, message, algorithm):
    """The HMAC of the message."""
    return hmac.digest(key.encode(), message, algorithm)
'''
# Only some services take either of the two signatures that verify under ECDSA, so it is always the lower one.
SIGNATURE_BY_PAIR = '''def signature(key, message, algorithm):
    """The HMAC of the message, or the private key's signature: of the two that ECDSA knows the lower one."""
    if algorithm.startswith("sha"):
        return hmac.digest(key.encode(), message, algorithm)
    signer = jwt.get_algorithm_by_name(algorithm)
    loaded = signer.prepare_key(key)
    made = signer.sign(message, loaded)
    while algorithm.startswith("ES") and made[len(made) // 2] >= (1 if algorithm == "ES512" else 128):
        made = signer.sign(message, loaded)
    return made
'''

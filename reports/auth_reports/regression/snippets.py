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
MEANINGLESS = '''def meaningless(credential):
    """A credential of the same shape that is nobody's: each letter and digit is the next of its kind."""
    letters = "abcdefghijklmnopqrstuvwxyz"
    known = letters + letters.upper() + "0123456789"
    others = letters[1:] + "a" + letters[1:].upper() + "A" + "1234567890"
    return credential.translate(str.maketrans(known, others))
'''


PROBLEM = '''def problem(reply):
    """The error in a body, or in its `detail`; empty where there is none."""
    try:
        body = reply.json()
    except ValueError:
        return {}
    inner = body.get("detail") if isinstance(body, dict) and "error" not in body else None
    return next((one for one in (inner, body) if isinstance(one, dict)), {})
'''
# The value may hold any word; and a cookie that is mended may get a prefix (RFC 6265bis §4.1.3).
COOKIE_LINE = '''def cookie_line(reply, name):
    """The attributes of a cookie that is set, in lower case; "" where none is. It may have got a prefix."""
    lines = (line.lower() for line in reply.headers.get_list("set-cookie"))
    names = tuple(prefix + name.lower() + "=" for prefix in ("", "__host-", "__secure-"))
    return next((line.partition(";")[2] for line in lines if line.startswith(names)), "")
'''
MAILED = '''def message_to(address):
    """The newest message to this person, which a command prints; "" where there is none."""
    words = shlex.split(MAILBOX_COMMAND)
    filled = [word.replace("{recipient}", address) for word in words]
    command = filled if filled != words else [*words, address]
    text = subprocess.run(command, capture_output=True, text=True, timeout=30).stdout
    if text.lower().startswith(("to:", "from:", "subject:", "mime-version:", "content-", "return-path:", "received:")):
        message = email.message_from_string(text, policy=email.policy.default)
        text = "\\n".join(part.get_content() for part in message.walk() if part.get_content_maintype() == "text")
    return html.unescape(text)


def mailed(address, before, earlier, *, secret=r"[\\w.~+/=-]+"):
    """What follows the text `before` in a message to `address` that is not the `earlier` one."""
    for _ in range(100):
        text = message_to(address)
        found = re.search(re.escape(before) + f"({secret})", text)
        if text != earlier and found:
            return found[1].rstrip(".")
        time.sleep(0.1)
    raise LookupError(f"no new message to {address} holds what was asked for")
'''
SIGNED = '''def signed(
    token, key, *, algorithm, claims=(), moments=(), fresh=(), without=(), respelled=(), repeated=(), header=None
):
    """The token with other claims, signed with `key`; `moments` are claims in seconds from now.

    What is `repeated` stands behind all else, as it is: a dictionary would hold each name once.
    """
    old_header, payload, _ = token.split(".")
    new = json.loads(base64.urlsafe_b64decode(payload + "=="))
    new.update(claims)
    new.update({name: int(time.time()) + seconds for name, seconds in dict(moments).items()})
    new.update({name: str(uuid.uuid4()) for name in fresh})
    for name, (before, case, after) in dict(respelled).items():
        new[name] = before + (getattr(new[name], case)() if case else new[name]) + after
    kept = json.dumps({name: value for name, value in new.items() if name not in without})
    for name, value in repeated:
        kept = f"{kept[:-1]}, {name}: {json.dumps(value)}}}"
    message = f"{encoded(header.encode()) if header else old_header}.{encoded(kept.encode())}"
    return f"{message}.{encoded(signature(key, message.encode(), algorithm))}"


def encoded(data):
    """Base64url without padding."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
'''
CLAIM = '''def claim(token, name):
    """What a token says under this name."""
    return json.loads(base64.urlsafe_b64decode(token.split(".")[1] + "=="))[name]
'''
# By a hash's name it is an HMAC (RFC 7518 §3.2).
SIGNATURE = '''def signature(key, message, algorithm):
    """The HMAC of the message."""
    return hmac.digest(key if isinstance(key, bytes) else key.encode(), message, algorithm)
'''
# The attacker's own.
PRIVATE_KEY = '''def private_key(data):
    """A private key from its PKCS #8."""
    return serialization.load_der_private_key(data, password=None)
'''
# Only some services take either of the two signatures that verify under ECDSA, so it is always the lower one.
SIGNATURE_BY_PAIR = '''def signature(key, message, algorithm):
    """The HMAC of the message, or the private key's signature: of the two that ECDSA knows the lower one."""
    if algorithm.startswith("sha"):
        return hmac.digest(key if isinstance(key, bytes) else key.encode(), message, algorithm)
    signer = jwt.get_algorithm_by_name(algorithm)
    loaded = signer.prepare_key(key)
    made = signer.sign(message, loaded)
    while algorithm.startswith("ES") and made[len(made) // 2] >= (1 if algorithm == "ES512" else 128):
        made = signer.sign(message, loaded)
    return made
'''

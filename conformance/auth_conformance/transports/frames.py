"""RFC 6455 by hand: the handshake's key and the frames of short messages, without a library to install."""

from __future__ import annotations

import base64
import hashlib
import os
import struct
from dataclasses import dataclass

_MAGIC = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
TEXT, BINARY, CLOSE, PING, PONG = 0x1, 0x2, 0x8, 0x9, 0xA
# Longer messages of a target are cut off: a target is hostile input.
LONGEST = 1 << 20


class FrameError(ValueError):
    """What came is no frame that a server may send."""


@dataclass(frozen=True, slots=True)
class Frame:
    """One frame. `final` is false for all but the last of a fragmented message."""

    opcode: int
    payload: bytes
    final: bool = True


def new_key() -> str:
    """A nonce for `Sec-WebSocket-Key` (RFC 6455 §4.1)."""
    return base64.b64encode(os.urandom(16)).decode()


def accept_value(key: str) -> str:
    """What the server must answer to that key (RFC 6455 §4.2.2)."""
    digest = hashlib.sha1((key + _MAGIC).encode(), usedforsecurity=False).digest()
    return base64.b64encode(digest).decode()


def written(frame: Frame, mask: bytes | None = None) -> bytes:
    """The bytes of a frame that a client sends, masked (RFC 6455 §5.3)."""
    mask = mask if mask is not None else os.urandom(4)
    size = len(frame.payload)
    head = bytes([(0x80 if frame.final else 0) | frame.opcode])
    if size < 126:
        head += bytes([0x80 | size])
    elif size < 1 << 16:
        head += bytes([0x80 | 126]) + struct.pack("!H", size)
    else:
        head += bytes([0x80 | 127]) + struct.pack("!Q", size)
    return head + mask + bytes(byte ^ mask[place % 4] for place, byte in enumerate(frame.payload))


def parsed(data: bytes) -> tuple[Frame, bytes] | None:
    """The first frame in `data`, and what follows it; None when it is not complete. Raises FrameError."""
    if len(data) < 2:
        return None
    size, place = data[1] & 0x7F, 2
    for code, form, width in ((126, "!H", 2), (127, "!Q", 8)):
        if size == code:
            if len(data) < 2 + width:
                return None
            size, place = struct.unpack(form, data[2 : 2 + width])[0], 2 + width
            break
    if data[0] & 0x70:
        raise FrameError("reserved bits are set, and no extension was agreed on")
    if size > LONGEST:
        raise FrameError("the message is too long")
    mask = b""
    if data[1] & 0x80:  # a server must not mask (RFC 6455 §5.1); it is read all the same
        mask, place = data[place : place + 4], place + 4
    if len(data) < place + size:
        return None
    payload = data[place : place + size]
    if mask:
        payload = bytes(byte ^ mask[index % 4] for index, byte in enumerate(payload))
    return Frame(data[0] & 0x0F, payload, bool(data[0] & 0x80)), data[place + size :]

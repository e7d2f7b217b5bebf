"""Reads an encrypted store by the format that ARCHITECTURE.md and src/store/vault describe, without any of the
gateway's code: python3 sealed.py MASTERKEYFILE DATAFOLDER. Prints one JSON object with the SHA-256 digests of all
contents that the master key opens, how many it does not open, and what the sealed values in the ledger say."""

import base64
import glob
import hashlib
import hmac
import json
import os
import struct
import sys

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

master = bytes.fromhex(open(sys.argv[1]).read().strip())
data = sys.argv[2]


def unwrap(key, wrapped, bound):
    return AESGCM(key).decrypt(wrapped[:12], wrapped[12:], bound)


keyring = json.load(open(os.path.join(data, "vault", "keyring.json")))
assert keyring["format"] == 1
assert keyring["master"] == hmac.new(master, b"amtsweg master key id", "sha256").hexdigest()[:16]
keys = {
    (k["use"], k["generation"]): unwrap(master, base64.b64decode(k["wrapped"]), b"") for k in keyring["keys"]
}

slots = {}
for path in sorted(glob.glob(os.path.join(data, "vault", "*.slots"))):
    octets = open(path, "rb").read()
    magic, layout, generation = struct.unpack_from("<8sII", octets)
    assert (magic, layout) == (b"AMTSSLOT", 1)
    for number in range(1, len(octets) // 64):
        slot = octets[number * 64 : number * 64 + 64]
        if any(slot):
            slots[number] = unwrap(keys["slots", generation], slot[:60], struct.pack("<IQ", generation, number))


def owner_key(kind, owner):
    """Key and nonce that an owner of 40 octets means; None for an erased one."""
    if kind == 2:
        slot, number = struct.unpack_from("<QI", owner)
        return slots.get(slot), struct.pack(">I", number) + bytes(8)
    generation, run, counter = struct.unpack_from("<I16sQ", owner)
    key = hmac.new(keys["records", generation], b"amtsweg run 1" + run, "sha256").digest()
    return key, bytes(4) + struct.pack(">Q", counter)


found = {"contents": [], "unopened": 0, "values": []}


def opened(key, nonce, octets, bound):
    if key is None:
        return None
    try:
        return AESGCM(key).decrypt(nonce, octets, bound)
    except InvalidTag:
        return None


def keep(plain):
    if plain is None:
        found["unopened"] += 1
    else:
        found["contents"].append(hashlib.sha256(plain).hexdigest())


for path in glob.glob(os.path.join(data, "content", "segments", "*.content")):
    octets = open(path, "rb").read()
    at = 32
    while at + 12 <= len(octets):
        length, _crc, kind, owned = struct.unpack_from("<IIBB", octets, at)
        if kind == 0:
            break
        at += 12 + owned
        payload = octets[at : at + length]
        at += length
        owner, tag, sealed = payload[:40], payload[40:56], payload[56:]
        key, nonce = owner_key(kind, owner)
        keep(opened(key, nonce, sealed + tag, bytes([kind]) + owner + struct.pack("<Q", len(sealed))))

for path in glob.glob(os.path.join(data, "content", "files", "*", "*")):
    octets = open(path, "rb").read()
    name = bytes.fromhex(os.path.basename(path).replace("-", ""))
    head, kind, owner = octets[:64], octets[12], octets[16:56]
    assert head[:12] == b"AMTSFILE" + struct.pack("<I", 1)
    (length,) = struct.unpack_from("<Q", octets, 112)
    key, nonce = owner_key(kind, owner)
    key = opened(key, nonce, octets[64:112], head + struct.pack("<Q", length) + name)
    plain, at, count = b"", 128, max(1, -(-length // 65536))
    for counter in range(count if key else 0):
        last = counter + 1 == count
        size = (length - 65536 * counter if last else 65536) + 16
        part = opened(key, bytes(7) + struct.pack(">IB", counter, last), octets[at : at + size], name)
        assert part is not None, "a chunk does not open"
        plain += part
        at += size
    keep(plain if key else None)
    assert key is None or at == len(octets)

for path in sorted(glob.glob(os.path.join(data, "ledger", "*.ledger"))):
    octets = open(path, "rb").read()
    at = 64
    while at + 16 <= len(octets):
        length, _number, _crc = struct.unpack_from("<IQI", octets, at)
        if length == 0:
            break
        body = octets[at + 16 : at + 16 + length]
        at += 16 + length
        changes = body[50:]
        while changes:
            _tag, _added, size = struct.unpack_from("<BII", changes)
            value, changes = changes[9 : 9 + size], changes[9 + size :]
            if value[0] != 128:
                continue
            head, sealed = value[:45], value[45:-4]
            sequence, slot, generation, run, counter = struct.unpack_from("<QQI16sQ", value, 1)
            key = hmac.new(keys["records", generation], b"amtsweg run 1" + run, "sha256").digest()
            plain = AESGCM(key).decrypt(bytes(4) + struct.pack(">Q", counter), sealed, head)
            found["values"].append([sequence, slot, plain[0], len(plain)])

json.dump(found, sys.stdout)

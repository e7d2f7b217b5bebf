"""Checks an export of the ledger and the proof of a message, with hashlib and openssl alone.

    python3 ledger_oracle.py EXPORT PROOF.json GATEWAY.pem

Written from the format's description in ARCHITECTURE.md and RFC 9162, section 2.1; exits 1 when
anything does not fit.
"""
import base64
import hashlib
import json
import os
import subprocess
import sys
import tempfile


def sha(octets):
    return hashlib.sha256(octets).digest()


def root(leaves):
    """Merkle Tree Hash, RFC 9162, section 2.1.1, level by level."""
    if not leaves:
        return sha(b"")
    level = list(leaves)
    while len(level) > 1:
        pairs = [sha(b"\x01" + level[i] + level[i + 1]) for i in range(0, len(level) - 1, 2)]
        level = pairs + (level[-1:] if len(level) % 2 else [])
    return level[0]


def climb(leaf, index, size, path):
    """Verifying an inclusion proof, RFC 9162, section 2.1.3.2."""
    fn, sn, r = index, size - 1, leaf
    for p in path:
        if sn == 0:
            return None
        if fn % 2 == 1 or fn == sn:
            r = sha(b"\x01" + p + r)
            while fn % 2 == 0 and fn != 0:
                fn >>= 1
                sn >>= 1
        else:
            r = sha(b"\x01" + r + p)
        fn >>= 1
        sn >>= 1
    return r if sn == 0 else None


def statement(signed, key):
    """The lines of a statement, after openssl has said that it is signed."""
    digest = {"sha256": "-sha256", "sha384": "-sha384", "sha512": "-sha512"}[signed["method"].rsplit("-", 1)[1]]
    with tempfile.TemporaryDirectory() as folder:
        text, value = os.path.join(folder, "statement"), os.path.join(folder, "signature")
        with open(text, "wb") as out:
            out.write(signed["statement"].encode())
        with open(value, "wb") as out:
            out.write(base64.b64decode(signed["signature"], validate=True))
        said = subprocess.run(["openssl", "dgst", digest, "-verify", key, "-signature", value, text],
                              capture_output=True, check=False)
    if said.returncode != 0:
        sys.exit("openssl refuses a checkpoint: " + said.stdout.decode() + said.stderr.decode())
    title, *lines = signed["statement"].splitlines()
    if title != "amtsweg checkpoint 1":
        sys.exit("not a checkpoint")
    return dict(line.split(": ", 1) for line in lines)


def check(what, holds):
    if not holds:
        sys.exit("does not fit: " + what)


def main(export, proof, certificate):
    key = tempfile.NamedTemporaryFile(suffix=".pem")
    with open(key.name, "wb") as out:
        subprocess.run(["openssl", "x509", "-in", certificate, "-noout", "-pubkey"], stdout=out, check=True)
    leaves, numbers, head, previous, checkpoints = [], {}, None, "0" * 64, 0
    with open(export, "rb") as lines:
        for line in lines:
            kind, rest = line.rstrip(b"\n").split(b" ", 1)
            if kind == b"event":
                hash_, event = rest.split(b" ", 1)
                leaf = sha(b"\x00" + event)
                check("hash of an event", hash_ == leaf.hex().encode())
                seen = json.loads(event)
                check("frame number", seen["frame"] == len(leaves) + 1)
                numbers[seen["endpoint"]] = numbers.get(seen["endpoint"], 0) + 1
                check("number of the destination", seen["number"] == numbers[seen["endpoint"]])
                leaves.append(leaf)
                head = seen["digest"]
            elif kind == b"checkpoint":
                checkpoint = json.loads(rest)
                said = statement(checkpoint, key.name)
                check("size", int(said["size"]) == len(leaves))
                check("root", said["root"] == root(leaves).hex())
                check("head", said["head"] == head)
                check("previous", said["previous"] == previous)
                all_ = "".join(f"{name} {number}\n" for name, number in sorted(numbers.items()))
                check("destinations", said["destinations"] == sha(all_.encode()).hex())
                previous = sha(checkpoint["statement"].encode()).hex()
                checkpoints += 1
    print(f"{len(leaves)} events, {checkpoints} checkpoints")
    with open(proof, encoding="utf-8") as file:
        proof = json.load(file)
    said = statement(proof["checkpoint"], key.name)
    leaf = sha(b"\x00" + proof["event"].encode())
    path = [bytes.fromhex(h) for h in proof["path"]]
    reached = climb(leaf, proof["index"], int(said["size"]), path)
    check("path", reached is not None and reached.hex() == said["root"])
    check("leaf", leaf == leaves[proof["index"]])
    print(json.loads(proof["event"])["message"])


main(*sys.argv[1:])

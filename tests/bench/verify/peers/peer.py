"""What signxml and lxml take to parse, validate and verify one document: anchor and schema are read once.
Arguments: document, schema, anchor (PEM), copies. Writes the best time in nanoseconds."""

import sys
import time

from cryptography.x509 import BasicConstraints
from cryptography.x509.verification import Criticality, ExtensionPolicy
from lxml import etree
from signxml import XMLVerifier

with open(sys.argv[1], "rb") as file:
    octets = file.read()
schema = etree.XMLSchema(etree.parse(sys.argv[2]))
verifier = XMLVerifier()
# What extensions a certificate must have is a policy of the web's, not of signatures on messages.
leaf = ExtensionPolicy.permit_all()
issuer = leaf.require_present(BasicConstraints, Criticality.AGNOSTIC, None)


def verify():
    document = etree.fromstring(octets, etree.XMLParser(resolve_entities=False, no_network=True, huge_tree=True))
    schema.assertValid(document)
    verifier.verify(document, ca_pem_file=sys.argv[3], ee_policy=leaf, ca_policy=issuer)


best = None
for _ in range(int(sys.argv[4])):
    begin = time.perf_counter_ns()
    verify()
    took = time.perf_counter_ns() - begin
    best = took if best is None else min(best, took)
print(best)

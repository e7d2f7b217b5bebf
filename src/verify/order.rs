//! Payloads of transport orders: what the operator's policy lets an account send need not be signed,
//! need not have a schema, need not be XML. That nobody signed is never silent: the [`Verified`] says
//! by which rule, and the store writes it into the record.

use bytes::Bytes;

use super::algorithms::Plan;
use super::document::Document;
use super::pass::{self, Ask, Passed};
use super::{Came, Proof, Settings, Verified, Verifier, authenticate, matching};
use crate::domain::{AccountName, DeclaredAttachment, Demand, Header, Timestamp, Waiver};
use crate::error::{Code, Refusal};

/// What an operator demands of the payloads of some accounts and message types.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// A signature.
    pub signature: Demand,
    /// A schema.
    pub schema: Demand,
    /// Which rule it is, one sentence.
    pub rule: String,
}

/// A transport order, as far as it concerns its payload.
#[derive(Clone, Debug)]
pub struct Ordered {
    /// Who hands it in.
    pub account: AccountName,
    /// Routing data from the order; those of a payload that a header rule knows come first.
    pub header: Header,
    /// The attachments as they came.
    pub attachments: Vec<DeclaredAttachment>,
    /// The order says that the payload is XML.
    pub xml: bool,
    /// What is demanded.
    pub policy: Policy,
}

impl Verifier {
    /// Everything that the order's policy asks for. A payload is taken for XML when the order says
    /// so or its first character says so.
    ///
    /// # Errors
    /// As [`Verifier::verify`]; AW-0120 and AW-0110 also for what can have neither signature nor
    /// schema; AW-0123 for a signed payload with attachments that its signature does not cover;
    /// AW-0140 and AW-0150 when payload and order name different authors or readers.
    pub fn verify_order(&self, octets: Bytes, order: Ordered, now: Timestamp) -> Result<Verified, Refusal> {
        if !order.xml && !begins_like_xml(&octets) {
            return opaque(octets, order);
        }
        let Settings { limits, rules, schemas, trust } = &self.settings;
        let document = Document::check(&octets, limits)?;
        let plan = Plan::guess(document.text);
        let schemas_asked = (order.policy.schema != Demand::None).then_some(&**schemas);
        let ask = Ask { rules: Some(rules), plan: Some(&plan), schemas: schemas_asked };
        let mut passed = pass::pass(document, limits, ask)?;
        let namespace = passed.root.namespace.clone();
        let schema = passed.schema.take();
        let picker = passed.picker.take();
        let (header, declared) = match picker {
            Some(Ok(picker)) => {
                let (header, declared) = picker.finish()?;
                (agreed(header, &order.header)?, declared)
            }
            Some(Err(refusal)) if rules.knows(&namespace) => return Err(refusal),
            _ => (of_order(&order.header, &passed), Vec::new()),
        };
        let signed = passed.signature.is_some() || passed.misplaced.is_some();
        let proof = match order.policy.signature {
            Demand::None => waived(&order),
            Demand::IfPresent if !signed => waived(&order),
            _ => Proof::Signed(authenticate(document, limits, passed, plan, trust, now)?),
        };
        let attachments = covered(&proof, declared, order.attachments)?;
        if order.policy.schema == Demand::Required || schemas.knows(&namespace) {
            schema.transpose()?;
        }
        Ok(Verified { octets, header, proof, attachments })
    }
}

fn begins_like_xml(octets: &[u8]) -> bool {
    let rest = octets.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(octets);
    rest.iter().find(|octet| !octet.is_ascii_whitespace()) == Some(&b'<')
}

fn waived(order: &Ordered) -> Proof {
    Proof::Waived(Waiver { account: order.account.clone(), rule: order.policy.rule.clone() })
}

/// A payload that is no XML.
fn opaque(octets: Bytes, order: Ordered) -> Result<Verified, Refusal> {
    if order.policy.signature == Demand::Required {
        return Err(Refusal::new(
            Code::SignatureMissing,
            "the payload is no XML and can't carry the signature that is demanded; send signed XML, or ask the \
             gateway's operator for a policy for this message type",
        ));
    }
    if order.policy.schema == Demand::Required {
        return Err(Refusal::new(
            Code::UnknownStandard,
            "the payload is no XML and has no schema; ask the gateway's operator for a policy for this message type",
        ));
    }
    if octets.is_empty() {
        return Err(Refusal::new(Code::NotWellFormed, "the payload is empty; send the message"));
    }
    let proof = waived(&order);
    Ok(Verified { octets, header: order.header, proof, attachments: order.attachments })
}

/// The order's routing data for a payload that no header rule knows.
fn of_order(header: &Header, passed: &Passed<'_, '_>) -> Header {
    let name = passed.root.qname.as_str();
    let local = name.split_once(':').map_or(name, |(_, local)| local);
    Header {
        namespace: passed.root.namespace.chars().take(500).collect(),
        root: local.chars().take(200).collect(),
        ..header.clone()
    }
}

/// The payload's own header, which must not contradict the order.
fn agreed(own: Header, order: &Header) -> Result<Header, Refusal> {
    if own.author != order.author {
        let reason = format!(
            "the payload's author is {}, the order's is {}; name the same author in both",
            own.author, order.author
        );
        return Err(Refusal::new(Code::NotEntitled, reason));
    }
    let reader = match (own.reader.clone(), order.reader.clone()) {
        (Some(inner), Some(outer)) if inner != outer => {
            let reason =
                format!("the payload is for {inner}, the order names {outer}; name the same reader in both");
            return Err(Refusal::new(Code::ReaderDiffers, reason));
        }
        (inner, outer) => inner.or(outer),
    };
    Ok(Header { reader, ..own })
}

/// The attachments: those that the payload declares, or, where nobody signed and it declares none,
/// those of the order.
fn covered(
    proof: &Proof,
    declared: Vec<DeclaredAttachment>,
    came: Vec<DeclaredAttachment>,
) -> Result<Vec<DeclaredAttachment>, Refusal> {
    if declared.is_empty() {
        return match proof {
            Proof::Signed(_) if !came.is_empty() => Err(Refusal::new(
                Code::NotCovered,
                "the payload is signed, but its signature does not cover the attachments; declare them in the payload",
            )),
            _ => Ok(came),
        };
    }
    let found: Vec<Came> = came.iter().map(|a| Came { size: a.size, sha256: a.sha256 }).collect();
    matching(&declared, &found)?;
    Ok(declared)
}

//! The signature element: read strictly after the schema of XML Signature 1.1 and held to the
//! profile, before anything is computed.

mod reader;

use crate::error::{Code, Refusal};

use super::Limits;
use super::algorithms::{DSIG, Plan, SignatureMethod};
use super::c14n::{Canonicaliser, inherits};
use super::document::Document;
use super::pass::{Found, Root};
use super::sign::{Canonicalisation, Hash};
use super::walk::{Node, Walk};
use reader::Reader;

/// What a signature element of the profile says.
#[derive(Debug)]
pub(crate) struct Signature {
    /// The canonicalisation of `SignedInfo`.
    pub(crate) method: Canonicalisation,
    /// Its list of prefixes.
    pub(crate) prefixes: Vec<String>,
    /// The signature method.
    pub(crate) signing: SignatureMethod,
    /// What the reference names: empty for the document, else an id.
    pub(crate) reference: String,
    /// How the document is hashed.
    pub(crate) plan: Plan,
    /// The digest that the reference carries.
    pub(crate) digest: Vec<u8>,
    /// The signature value.
    pub(crate) value: Vec<u8>,
    /// The certificates, DER, as they stand.
    pub(crate) certificates: Vec<Vec<u8>>,
}

/// Reads the signature.
///
/// # Errors
/// AW-0121 outside the profile, AW-0122 malformed, AW-0123 not covering, AW-0133 no certificate.
pub(crate) fn read(
    document: Document<'_>,
    limits: &Limits,
    found: &Found<'_>,
    root: &Root,
) -> Result<Signature, Refusal> {
    let parent = format!("/{}", root.qname);
    let walk = Walk::fragment(document, limits, found.range.clone(), found.namespaces.clone(), parent);
    let mut reader = Reader { walk };
    reader.walk.next()?;
    reader.attributes(&["Id"])?;
    let mut draft = Draft::default();
    reader.expect("SignedInfo")?;
    reader.signed_info(&mut draft)?;
    reader.expect("SignatureValue")?;
    reader.attributes(&["Id"])?;
    draft.value = reader.base64()?;
    if draft.value.is_empty() {
        return Err(reader.walk.refuse(Code::SignatureWrong, "SignatureValue is empty; sign the document"));
    }
    while reader.child()? {
        if draft.key_info || !reader.walk.is(DSIG, "KeyInfo") {
            return Err(reader.unexpected());
        }
        draft.key_info = true;
        reader.key_info(&mut draft)?;
    }
    if draft.certificates.is_empty() {
        let reason = "the signature carries no certificate; put the signer's into KeyInfo/X509Data";
        return Err(reader.walk.refuse_at(found.range.start, Code::CertificateMissing, reason));
    }
    draft.finish().ok_or_else(|| reader.walk.refuse(Code::SignatureWrong, "the signature is incomplete"))
}

/// Canonicalises the `SignedInfo` of a signature. Its ancestors are not in the node-set.
///
/// # Errors
/// AW-0122 when there is none.
pub(crate) fn canonical_signed_info(
    document: Document<'_>,
    limits: &Limits,
    found: &Found<'_>,
    root: &Root,
    method: Canonicalisation,
    prefixes: &[String],
) -> Result<Vec<u8>, Refusal> {
    let mut walk =
        Walk::fragment(document, limits, found.range.clone(), found.namespaces.clone(), String::new());
    let inherited: Vec<_> = root.inherited.iter().filter(|a| inherits(method, a)).cloned().collect();
    let mut canonical = Canonicaliser::new(method, prefixes, true, Vec::with_capacity(2048));
    let mut inside = false;
    loop {
        let node = walk.next()?;
        match node {
            Node::Eof => {
                return Err(walk.refuse(Code::SignatureWrong, "the signature lacks ds:SignedInfo"));
            }
            Node::Start if !inside && walk.depth() == 2 && walk.is(DSIG, "SignedInfo") => {
                inside = true;
                canonical.start(&walk, Some(&inherited));
            }
            _ if inside => {
                canonical.node(&walk, node);
                if matches!(node, Node::End(_)) && walk.depth() == 1 {
                    return Ok(canonical.into_inner());
                }
            }
            _ => {}
        }
    }
}

/// What has been read so far.
#[derive(Default)]
struct Draft {
    method: Option<Canonicalisation>,
    prefixes: Vec<String>,
    signing: Option<SignatureMethod>,
    reference: Option<String>,
    transform: Option<Canonicalisation>,
    transform_prefixes: Vec<String>,
    hash: Option<Hash>,
    digest: Vec<u8>,
    value: Vec<u8>,
    certificates: Vec<Vec<u8>>,
    key_info: bool,
}

impl Draft {
    fn finish(self) -> Option<Signature> {
        Some(Signature {
            method: self.method?,
            prefixes: self.prefixes,
            signing: self.signing?,
            reference: self.reference?,
            plan: Plan { method: self.transform?, prefixes: self.transform_prefixes, hash: self.hash? },
            digest: self.digest,
            value: self.value,
            certificates: self.certificates,
        })
    }
}

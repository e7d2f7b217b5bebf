//! The signature element: read strictly after the schema of XML Signature 1.1 and held to the
//! profile, before anything is computed.

mod info;
mod key_info;
pub(crate) mod named;
pub(crate) mod properties;
mod reader;
pub(crate) mod select;

use crate::domain::Note;
use crate::error::{Code, Refusal};

use super::Limits;
use super::algorithms::{DSIG, Plan, SignatureMethod};
use super::c14n::{Canonicaliser, bound_of_part, inherits};
use super::document::Document;
use super::pass::{Found, Root};
use super::sign::{Canonicalisation, Hash};
use super::walk::{Node, Walk};
use named::Named;
use properties::{Properties, Target, XADES};
use reader::Reader;
use select::Filter;

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
    /// What else is said about the signer's certificate.
    pub(crate) named: Vec<Named>,
    /// A filter that keeps the document if it selects anything in it.
    pub(crate) filter: Option<Filter>,
    /// The signed properties of XAdES, with the reference to them.
    pub(crate) properties: Option<(Target, Properties)>,
    /// What came along and is not looked at.
    pub(crate) notes: Vec<Note>,
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
    let mut draft = Draft { id: reader.value_of("Id"), ..Draft::default() };
    reader.expect("SignedInfo")?;
    reader.signed_info(&mut draft)?;
    reader.expect("SignatureValue")?;
    reader.attributes(&["Id"])?;
    draft.value = reader.base64()?;
    if draft.value.is_empty() {
        return Err(reader.walk.refuse(Code::SignatureWrong, "SignatureValue is empty; sign the document"));
    }
    while reader.child()? {
        let late = draft.properties.is_some();
        if reader.walk.is(DSIG, "KeyInfo") && !draft.key_info && !late {
            draft.key_info = true;
            reader.key_info(&mut draft)?;
        } else if reader.walk.is(DSIG, "Object") && !late {
            reader.object(&mut draft)?;
        } else {
            return Err(reader.unexpected());
        }
    }
    if draft.target.is_some() && draft.properties.is_none() {
        let reason = "a reference names SignedProperties that the signature does not hold; put them into its ds:Object";
        return Err(reader.walk.refuse_at(found.range.start, Code::NotCovered, reason));
    }
    if draft.certificates.is_empty() {
        let reason = "the signature carries no certificate; put the signer's into KeyInfo/X509Data";
        return Err(reader.walk.refuse_at(found.range.start, Code::CertificateMissing, reason));
    }
    draft.finish().ok_or_else(|| reader.walk.refuse(Code::SignatureWrong, "the signature is incomplete"))
}

/// Canonicalises the `SignedInfo` of a signature.
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
    // It is canonicalised as it stands, so with its comments where the method keeps them.
    let out = Canonicaliser::new(method, prefixes, true, Vec::with_capacity(2048));
    canonical(document, limits, found, root, method, out, (2, DSIG, "SignedInfo"))
}

/// Canonicalises the signed properties of XAdES, as a same-document reference hands them over: without
/// comments (XML Signature 1.1, section 4.4.3.3).
///
/// # Errors
/// AW-0122 when there are none.
pub(crate) fn canonical_properties(
    document: Document<'_>,
    limits: &Limits,
    found: &Found<'_>,
    root: &Root,
    target: &Target,
) -> Result<Vec<u8>, Refusal> {
    let out = Canonicaliser::new(target.method, &target.prefixes, false, Vec::with_capacity(2048));
    canonical(document, limits, found, root, target.method, out, (4, XADES, "SignedProperties"))
}

/// Canonicalises one element of a signature by its depth and name; below a child of the signature, only
/// what its `ds:Object` holds counts. Its ancestors are not in the
/// node-set, and of them only the document's root has attributes of the `xml` namespace.
fn canonical(
    document: Document<'_>,
    limits: &Limits,
    found: &Found<'_>,
    root: &Root,
    method: Canonicalisation,
    mut canonical: Canonicaliser<'_, Vec<u8>>,
    (depth, namespace, local): (usize, &str, &str),
) -> Result<Vec<u8>, Refusal> {
    let mut walk =
        Walk::fragment(document, limits, found.range.clone(), found.namespaces.clone(), String::new());
    let inherited: Vec<_> = root.inherited.iter().filter(|a| inherits(method, a)).cloned().collect();
    let (mut inside, mut object) = (false, false);
    let most = bound_of_part(document.text.len());
    loop {
        let node = walk.next()?;
        if canonical.exceeds(most) {
            let reason = format!(
                "the canonical form of {local} is longer than the document; use fewer namespaces in it"
            );
            return Err(walk.refuse(Code::OverLimit, reason));
        }
        if node == Node::Start && walk.depth() == 2 {
            object = walk.is(DSIG, "Object");
        }
        match node {
            Node::Eof => {
                return Err(walk.refuse(Code::SignatureWrong, format!("the signature lacks {local}")));
            }
            Node::Start
                if !inside
                    && walk.depth() == depth
                    && (object || depth == 2)
                    && walk.is(namespace, local) =>
            {
                inside = true;
                canonical.start(&walk, Some(&inherited));
            }
            _ if inside => {
                canonical.node(&walk, node);
                if matches!(node, Node::End) && walk.depth() == depth - 1 {
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
    /// The signature's own.
    id: Option<String>,
    method: Option<Canonicalisation>,
    prefixes: Vec<String>,
    signing: Option<SignatureMethod>,
    reference: Option<String>,
    reference_id: Option<String>,
    filter: Option<Filter>,
    target: Option<Target>,
    properties: Option<Properties>,
    transform: Option<Canonicalisation>,
    transform_prefixes: Vec<String>,
    hash: Option<Hash>,
    digest: Vec<u8>,
    value: Vec<u8>,
    certificates: Vec<Vec<u8>>,
    named: Vec<Named>,
    key_info: bool,
    notes: Vec<Note>,
}

impl Draft {
    fn note(&mut self, note: Note) {
        if !self.notes.contains(&note) {
            self.notes.push(note);
        }
    }

    fn finish(self) -> Option<Signature> {
        Some(Signature {
            method: self.method?,
            prefixes: self.prefixes,
            signing: self.signing?,
            reference: self.reference?,
            plan: Plan {
                method: self.transform?,
                prefixes: self.transform_prefixes,
                hash: self.hash?,
                properties: self.target.as_ref().map(|target| target.id.clone()),
            },
            digest: self.digest,
            value: self.value,
            certificates: self.certificates,
            named: self.named,
            filter: self.filter,
            properties: self.target.zip(self.properties),
            notes: self.notes,
        })
    }
}

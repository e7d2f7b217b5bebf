//! `SignedInfo`: methods, references, transforms.

use crate::error::{Code, Refusal};
use crate::verify::algorithms::{
    DSIG, ENVELOPED, EXCLUSIVE, MGF1, PSS, SIGNED_PROPERTIES, Scheme, SignatureMethod, XPATH, prefix_list,
};
use crate::verify::names;
use crate::verify::sign::{Canonicalisation, Hash};

use super::Draft;
use super::properties::Target;
use super::reader::Reader;
use super::select::Filter;

/// At most so many prefixes on one list.
const PREFIXES: usize = 64;
/// At most so many transforms are read: no accepted form has more than three.
const TRANSFORMS: usize = 4;

const FORMS: &str = "the transforms must be enveloped-signature and one canonicalisation of the profile";

/// One transform of the reference to the document.
enum Transform {
    Enveloped,
    Canonical(Canonicalisation, Vec<String>),
    Filter(Filter),
}

impl Reader<'_> {
    pub(super) fn signed_info(&mut self, draft: &mut Draft) -> Result<(), Refusal> {
        self.attributes(&["Id"])?;
        self.expect("CanonicalizationMethod")?;
        let uri = self.algorithm()?;
        let Some(method) = Canonicalisation::from_uri(&uri) else {
            let reason =
                "CanonicalizationMethod is outside the profile; use exclusive or inclusive canonicalisation";
            return Err(self.walk.refuse(Code::SignatureWeak, reason));
        };
        draft.method = Some(method);
        draft.prefixes = self.inclusive(method)?;
        self.expect("SignatureMethod")?;
        draft.signing = Some(self.signature_method()?);
        if !self.child()? {
            let reason = "the signature refers to nothing; refer once, to the whole document, with URI=\"\"";
            return Err(self.walk.refuse(Code::NotCovered, reason));
        }
        loop {
            if !self.walk.is(DSIG, "Reference") {
                return Err(self.unexpected());
            }
            match self.value_of("Type").as_deref() {
                Some(SIGNED_PROPERTIES) if draft.target.is_none() => self.properties_reference(draft)?,
                None if draft.reference.is_none() => self.reference(draft)?,
                Some(kind) if kind != SIGNED_PROPERTIES => {
                    let reason =
                        "the reference must not have a Type; refer to the whole document with URI=\"\"";
                    return Err(self.walk.refuse(Code::NotCovered, reason));
                }
                _ => return Err(self.unexpected()),
            }
            if !self.child()? {
                break;
            }
        }
        if draft.reference.is_none() {
            let reason = "no reference names the document; refer to the whole of it with URI=\"\"";
            return Err(self.walk.refuse(Code::NotCovered, reason));
        }
        Ok(())
    }

    /// The method, with its parameters where it has any.
    fn signature_method(&mut self) -> Result<SignatureMethod, Refusal> {
        let uri = self.algorithm()?;
        let Some(mut signing) = SignatureMethod::from_uri(&uri) else {
            let reason = "SignatureMethod is outside the profile; use RSA (PKCS#1 v1.5 or PSS) or ECDSA with SHA-256, SHA-384 or SHA-512, or Ed25519";
            return Err(self.walk.refuse(Code::SignatureWeak, reason));
        };
        if signing.scheme != Scheme::PssParameters {
            self.end()?;
        } else if self.child()? {
            if !self.walk.is(PSS, "RSAPSSParams") {
                return Err(self.unexpected());
            }
            signing.hash = self.pss_parameters()?;
            self.end()?;
        }
        Ok(signing)
    }

    /// The parameters of RSASSA-PSS (RFC 9231, section 2.3.9). Only those that fit each other are
    /// sound: MGF1 of the same hash, a salt as long as the hash, the one trailer there is.
    fn pss_parameters(&mut self) -> Result<Hash, Refusal> {
        const REASON: &str = "the parameters of RSASSA-PSS are outside the profile; use MGF1 with the same hash, a salt as long as the hash, and trailer 1";
        self.attributes(&[])?;
        let mut hash = Hash::Sha256;
        let mut last = 0;
        while self.child()? {
            let walk = &self.walk;
            let number = if walk.is(DSIG, "DigestMethod") {
                hash = self.digest_method()?;
                1
            } else if walk.is(PSS, "MaskGenerationFunction") {
                if self.algorithm()? != MGF1 {
                    return Err(self.walk.refuse(Code::SignatureWeak, REASON));
                }
                self.expect("DigestMethod")?;
                if self.digest_method()? != hash {
                    return Err(self.walk.refuse(Code::SignatureWeak, REASON));
                }
                self.end()?;
                2
            } else if walk.is(PSS, "SaltLength") {
                self.attributes(&[])?;
                if self.text()?.trim() != (hash.algorithm().output_len()).to_string() {
                    return Err(self.walk.refuse(Code::SignatureWeak, REASON));
                }
                3
            } else if walk.is(PSS, "TrailerField") {
                self.attributes(&[])?;
                if self.text()?.trim() != "1" {
                    return Err(self.walk.refuse(Code::SignatureWeak, REASON));
                }
                4
            } else {
                return Err(self.unexpected());
            };
            if number <= last {
                return Err(self.unexpected());
            }
            last = number;
        }
        Ok(hash)
    }

    /// The reference to the document.
    fn reference(&mut self, draft: &mut Draft) -> Result<(), Refusal> {
        self.attributes(&["Id", "URI"])?;
        let uri = self.value_of("URI");
        let target = match uri.as_deref() {
            Some("") => Some(""),
            Some(uri) => uri.strip_prefix('#').filter(|id| names::is_ncname(id)),
            None => {
                let reason = "the reference has no URI, so that XML Signature (section 4.4.3.1) leaves open what it refers to; write URI=\"\"";
                return Err(self.walk.refuse(Code::NotCovered, reason));
            }
        };
        let Some(target) = target else {
            let reason = "the reference must be URI=\"\" or # and the root's id";
            return Err(self.walk.refuse(Code::NotCovered, reason));
        };
        draft.reference = Some(target.to_owned());
        draft.reference_id = self.value_of("Id");
        if !self.child()? || !self.walk.is(DSIG, "Transforms") {
            let reason = "the reference needs two transforms: enveloped-signature and one canonicalisation";
            return Err(self.walk.refuse(Code::NotCovered, reason));
        }
        self.transforms(draft)?;
        (draft.hash, draft.digest) = self.digest().map(|(hash, digest)| (Some(hash), digest))?;
        Ok(())
    }

    /// `DigestMethod` and `DigestValue`, and the end of their parent.
    pub(super) fn digest(&mut self) -> Result<(Hash, Vec<u8>), Refusal> {
        self.expect("DigestMethod")?;
        let hash = self.digest_method()?;
        self.expect("DigestValue")?;
        self.attributes(&[])?;
        let digest = self.base64()?;
        self.end()?;
        Ok((hash, digest))
    }

    /// The transforms, which must come to "the whole document without the signature, canonical".
    fn transforms(&mut self, draft: &mut Draft) -> Result<(), Refusal> {
        self.attributes(&[])?;
        let mut transforms = Vec::new();
        while self.child()? {
            if !self.walk.is(DSIG, "Transform") || transforms.len() >= TRANSFORMS {
                return Err(self.walk.refuse(Code::NotCovered, FORMS));
            }
            transforms.push(self.transform()?);
        }
        let mut transforms = transforms.into_iter();
        let parts = (transforms.next(), transforms.next(), transforms.next(), transforms.next());
        let (canonical, filter) = match parts {
            (Some(Transform::Enveloped), Some(Transform::Canonical(method, list)), None, None) => {
                ((method, list), None)
            }
            (
                Some(Transform::Enveloped),
                Some(Transform::Filter(filter)),
                Some(Transform::Canonical(method, list)),
                None,
            )
            | (
                Some(Transform::Enveloped),
                Some(Transform::Canonical(method, list)),
                Some(Transform::Filter(filter)),
                None,
            ) => ((method, list), Some(filter)),
            (
                Some(Transform::Filter(Filter::NotSignature)),
                Some(Transform::Canonical(method, list)),
                None,
                None,
            ) => ((method, list), None),
            _ => return Err(self.walk.refuse(Code::NotCovered, FORMS)),
        };
        draft.transform = Some(canonical.0);
        draft.transform_prefixes = canonical.1;
        draft.filter = filter;
        Ok(())
    }

    fn transform(&mut self) -> Result<Transform, Refusal> {
        let uri = self.algorithm()?;
        if uri == ENVELOPED {
            self.end()?;
            return Ok(Transform::Enveloped);
        }
        if uri == XPATH {
            if !self.child()? || !self.walk.is(DSIG, "XPath") {
                return Err(self.walk.refuse(Code::NotCovered, FORMS));
            }
            self.attributes(&[])?;
            // Text does not change the prefixes that are in scope at the element.
            let spaces = &self.walk.namespaces;
            let bound = (0..spaces.len()).filter(|number| spaces.uri(*number) == DSIG);
            let known: Vec<String> = bound
                .map(|number| spaces.get(number).prefix)
                .filter(|prefix| spaces.resolve(prefix).is_some_and(|number| spaces.uri(number) == DSIG))
                .map(ToOwned::to_owned)
                .collect();
            let text = self.text()?;
            let Some(filter) = Filter::read(&text, &known) else {
                let reason = "the XPath expression is not one that is known to keep every node; use enveloped-signature and one canonicalisation";
                return Err(self.walk.refuse(Code::NotCovered, reason));
            };
            self.end()?;
            return Ok(Transform::Filter(filter));
        }
        let Some(method) = Canonicalisation::from_uri(&uri) else {
            return Err(self.walk.refuse(Code::NotCovered, FORMS));
        };
        Ok(Transform::Canonical(method, self.inclusive(method)?))
    }

    /// The reference to XAdES' signed properties: an id and at most one canonicalisation.
    fn properties_reference(&mut self, draft: &mut Draft) -> Result<(), Refusal> {
        self.attributes(&["Id", "URI", "Type"])?;
        let uri = self.value_of("URI").unwrap_or_default();
        let Some(id) = uri.strip_prefix('#').filter(|id| names::is_ncname(id)) else {
            let reason = "the reference to SignedProperties must be # and their Id";
            return Err(self.walk.refuse(Code::NotCovered, reason));
        };
        let id = id.to_owned();
        let mut target = Target {
            id,
            // What is a node-set at the end is canonicalised so (XML Signature 1.1, section 4.4.3.2).
            method: Canonicalisation::Inclusive,
            prefixes: Vec::new(),
            hash: Hash::Sha256,
            digest: Vec::new(),
        };
        const REASON: &str = "the reference to SignedProperties may have one transform, a canonicalisation";
        if !self.child()? {
            return Err(self.walk.refuse(Code::SignatureWrong, "the signature lacks DigestMethod"));
        }
        if self.walk.is(DSIG, "Transforms") {
            self.attributes(&[])?;
            if !self.child()? || !self.walk.is(DSIG, "Transform") {
                return Err(self.walk.refuse(Code::NotCovered, REASON));
            }
            let uri = self.algorithm()?;
            let Some(method) = Canonicalisation::from_uri(&uri) else {
                return Err(self.walk.refuse(Code::NotCovered, REASON));
            };
            target.method = method;
            target.prefixes = self.inclusive(method)?;
            if self.child()? {
                return Err(self.walk.refuse(Code::NotCovered, REASON));
            }
            self.expect("DigestMethod")?;
        } else if !self.walk.is(DSIG, "DigestMethod") {
            return Err(self.unexpected());
        }
        target.hash = self.digest_method()?;
        self.expect("DigestValue")?;
        self.attributes(&[])?;
        target.digest = self.base64()?;
        self.end()?;
        draft.target = Some(target);
        Ok(())
    }

    /// Reads `InclusiveNamespaces`, where there is one, and the end of its parent.
    fn inclusive(&mut self, method: Canonicalisation) -> Result<Vec<String>, Refusal> {
        if !self.child()? {
            return Ok(Vec::new());
        }
        if !method.is_exclusive() || !self.walk.is(EXCLUSIVE, "InclusiveNamespaces") {
            return Err(self.unexpected());
        }
        self.attributes(&["PrefixList"])?;
        let list = prefix_list(&self.value_of("PrefixList").unwrap_or_default());
        if list.len() > PREFIXES {
            let reason = format!("PrefixList has more than {PREFIXES} prefixes; name only those needed");
            return Err(self.walk.refuse(Code::OverLimit, reason));
        }
        self.end()?;
        self.end()?;
        Ok(list)
    }
}

//! Reads the elements of a signature in the order of their schema.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::error::{Code, Refusal};
use crate::verify::algorithms::{DSIG, DSIG11, ENVELOPED, EXCLUSIVE, SignatureMethod, prefix_list};
use crate::verify::names;
use crate::verify::sign::{Canonicalisation, Hash};
use crate::verify::walk::{Attribute, Node, Walk};

use super::Draft;

/// At most so many certificates in a signature.
const CERTIFICATES: usize = 8;
/// At most so many prefixes on one list.
const PREFIXES: usize = 64;

/// Reads elements in the order of the schema.
pub(super) struct Reader<'d> {
    pub(super) walk: Walk<'d>,
}

impl<'d> Reader<'d> {
    /// Goes to the next child element; false at the end of the parent. White space, comments and
    /// processing instructions between elements are skipped (canonicalisation takes care of them).
    pub(super) fn child(&mut self) -> Result<bool, Refusal> {
        loop {
            match self.walk.next()? {
                Node::Start => return Ok(true),
                Node::End(_) => return Ok(false),
                Node::Text(text) if names::is_space(text) => {}
                Node::Comment(_) | Node::Instruction(..) => {}
                _ => {
                    let reason = "text stands between the elements of the signature; leave it out";
                    return Err(self.walk.refuse(Code::SignatureWrong, reason));
                }
            }
        }
    }

    /// Goes to the next child element, which must be this one.
    pub(super) fn expect(&mut self, local: &str) -> Result<(), Refusal> {
        if !self.child()? {
            let reason = format!("the signature lacks ds:{local}");
            return Err(self.walk.refuse(Code::SignatureWrong, reason));
        }
        if self.walk.is(DSIG, local) {
            return Ok(());
        }
        Err(self.unexpected())
    }

    /// The refusal of an element that does not belong here.
    pub(super) fn unexpected(&self) -> Refusal {
        let walk = &self.walk;
        if walk.is(DSIG, "Object") || walk.is(DSIG, "Manifest") {
            let reason = "the signature must hold nothing besides its own data; leave out ds:Object";
            return walk.refuse(Code::NotCovered, reason);
        }
        if walk.is(DSIG, "Reference") {
            return walk.refuse(
                Code::NotCovered,
                "the signature has several references; refer once, to the whole document",
            );
        }
        if walk.is(DSIG, "Transform") || walk.is(DSIG, "XPath") {
            return walk.refuse(
                Code::NotCovered,
                "the transforms must be enveloped-signature and one canonicalisation",
            );
        }
        if walk.is(DSIG, "HMACOutputLength") {
            return walk.refuse(
                Code::SignatureWeak,
                "HMAC is not accepted; sign with RSA or ECDSA and a certificate",
            );
        }
        walk.refuse(
            Code::SignatureWrong,
            "an element of the signature is out of place here (XML Signature 1.1, section 4)",
        )
    }

    /// Goes to the end of the element, which must have no (further) child.
    fn end(&mut self) -> Result<(), Refusal> {
        if self.child()? { Err(self.unexpected()) } else { Ok(()) }
    }

    /// Skips the element that started last.
    fn skip(&mut self) -> Result<(), Refusal> {
        let depth = self.walk.depth();
        loop {
            if matches!(self.walk.next()?, Node::End(_)) && self.walk.depth() < depth {
                return Ok(());
            }
        }
    }

    /// Refuses attributes other than these.
    pub(super) fn attributes(&self, known: &[&str]) -> Result<(), Refusal> {
        let foreign = |a: &Attribute<'_>| !a.prefix.is_empty() || !known.contains(&a.local);
        if self.walk.attributes.iter().any(foreign) {
            let reason = "an attribute of the signature is not one of XML Signature's; leave it out";
            return Err(self.walk.refuse(Code::SignatureWrong, reason));
        }
        Ok(())
    }

    fn value_of(&self, local: &str) -> Option<String> {
        let found = self.walk.attributes.iter().find(|a| a.prefix.is_empty() && a.local == local);
        found.map(|a| a.value().into_owned())
    }

    fn algorithm(&self) -> Result<String, Refusal> {
        self.attributes(&["Algorithm"])?;
        self.value_of("Algorithm")
            .ok_or_else(|| self.walk.refuse(Code::SignatureWrong, "the attribute Algorithm is missing"))
    }

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
        let uri = self.algorithm()?;
        let Some(signing) = SignatureMethod::from_uri(&uri) else {
            let reason = "SignatureMethod is outside the profile; use RSA (PKCS#1 v1.5 or PSS) or ECDSA with SHA-256, SHA-384 or SHA-512";
            return Err(self.walk.refuse(Code::SignatureWeak, reason));
        };
        draft.signing = Some(signing);
        self.end()?;
        if !self.child()? {
            let reason = "the signature refers to nothing; refer once, to the whole document, with URI=\"\"";
            return Err(self.walk.refuse(Code::NotCovered, reason));
        }
        if !self.walk.is(DSIG, "Reference") {
            return Err(self.unexpected());
        }
        self.reference(draft)?;
        self.end()
    }

    fn reference(&mut self, draft: &mut Draft) -> Result<(), Refusal> {
        if self.value_of("Type").is_some() {
            let reason = "the reference must not have a Type; refer to the whole document with URI=\"\"";
            return Err(self.walk.refuse(Code::NotCovered, reason));
        }
        self.attributes(&["Id", "URI"])?;
        let uri = self.value_of("URI");
        let target = match uri.as_deref() {
            Some("") => Some(""),
            Some(uri) => uri.strip_prefix('#').filter(|id| names::is_ncname(id)),
            None => None,
        };
        let Some(target) = target else {
            let reason = "the reference must be URI=\"\" or # and the root's id";
            return Err(self.walk.refuse(Code::NotCovered, reason));
        };
        draft.reference = Some(target.to_owned());
        if !self.child()? || !self.walk.is(DSIG, "Transforms") {
            let reason = "the reference needs two transforms: enveloped-signature and one canonicalisation";
            return Err(self.walk.refuse(Code::NotCovered, reason));
        }
        self.transforms(draft)?;
        self.expect("DigestMethod")?;
        let uri = self.algorithm()?;
        let Some(hash) = Hash::from_uri(&uri) else {
            let reason = "DigestMethod is outside the profile; use SHA-256, SHA-384 or SHA-512";
            return Err(self.walk.refuse(Code::SignatureWeak, reason));
        };
        draft.hash = Some(hash);
        self.end()?;
        self.expect("DigestValue")?;
        self.attributes(&[])?;
        draft.digest = self.base64()?;
        self.end()
    }

    fn transforms(&mut self, draft: &mut Draft) -> Result<(), Refusal> {
        const REASON: &str =
            "the transforms must be enveloped-signature and one canonicalisation of the profile";
        self.attributes(&[])?;
        for number in 0..2 {
            if !self.child()? || !self.walk.is(DSIG, "Transform") {
                return Err(self.walk.refuse(Code::NotCovered, REASON));
            }
            let uri = self.algorithm()?;
            let method = Canonicalisation::from_uri(&uri);
            match (number, method) {
                (0, _) if uri == ENVELOPED => self.end()?,
                (1, Some(method)) => {
                    draft.transform = Some(method);
                    draft.transform_prefixes = self.inclusive(method)?;
                }
                _ => return Err(self.walk.refuse(Code::NotCovered, REASON)),
            }
        }
        if self.child()? { Err(self.walk.refuse(Code::NotCovered, REASON)) } else { Ok(()) }
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

    pub(super) fn key_info(&mut self, draft: &mut Draft) -> Result<(), Refusal> {
        self.attributes(&["Id"])?;
        while self.child()? {
            let walk = &self.walk;
            if walk.is(DSIG, "X509Data") {
                self.x509_data(draft)?;
            } else if ["KeyName", "KeyValue"].iter().any(|known| walk.is(DSIG, known))
                || walk.is(DSIG11, "DEREncodedKeyValue")
            {
                // Trust comes from the certificate alone.
                self.skip()?;
            } else {
                let reason = "KeyInfo may hold X509Data, KeyName and KeyValue; leave out the rest";
                return Err(walk.refuse(Code::SignatureWeak, reason));
            }
        }
        Ok(())
    }

    fn x509_data(&mut self, draft: &mut Draft) -> Result<(), Refusal> {
        const IGNORED: [&str; 4] = ["X509IssuerSerial", "X509SubjectName", "X509SKI", "X509CRL"];
        self.attributes(&[])?;
        while self.child()? {
            if self.walk.is(DSIG, "X509Certificate") {
                if draft.certificates.len() >= CERTIFICATES {
                    let reason =
                        format!("more than {CERTIFICATES} certificates; send the signer's and its chain");
                    return Err(self.walk.refuse(Code::OverLimit, reason));
                }
                self.attributes(&[])?;
                let certificate = self.base64()?;
                draft.certificates.push(certificate);
            } else if IGNORED.iter().any(|known| self.walk.is(DSIG, known))
                || self.walk.is(DSIG11, "X509Digest")
            {
                self.skip()?;
            } else {
                return Err(self.unexpected());
            }
        }
        Ok(())
    }

    /// Reads the element's base64 content and its end: strict RFC 4648, section 4, white space
    /// aside; nothing but text, so that every reader sees the same value.
    pub(super) fn base64(&mut self) -> Result<Vec<u8>, Refusal> {
        let start = self.walk.range().start;
        let mut text = Vec::new();
        loop {
            let piece = match self.walk.next()? {
                Node::Text(raw) => raw,
                Node::Reference(c) if c.is_ascii_whitespace() => continue,
                Node::End(_) => break,
                _ => {
                    let reason = "only base64 may stand here; leave out comments, elements and the like";
                    return Err(self.walk.refuse(Code::SignatureWrong, reason));
                }
            };
            text.extend(piece.bytes().filter(|octet| names::class(*octet) & names::SPACE == 0));
        }
        STANDARD.decode(&text).map_err(|_| {
            self.walk.refuse_at(
                start,
                Code::SignatureWrong,
                "the content is not base64 (RFC 4648, section 4)",
            )
        })
    }
}

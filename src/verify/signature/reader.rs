//! Reads the elements of a signature in the order of their schema.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::error::{Code, Refusal};
use crate::verify::algorithms::DSIG;
use crate::verify::names;
use crate::verify::sign::Hash;
use crate::verify::walk::{Attribute, Node, Walk};

/// At most so many octets of text in an element that is not base64.
const TEXT: usize = 4096;

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
                Node::End => return Ok(false),
                Node::Text if names::is_space(self.walk.raw()) => {}
                Node::Comment | Node::Instruction => {}
                _ => {
                    let reason = "text stands between the elements of the signature; leave it out";
                    return Err(self.walk.refuse(Code::SignatureWrong, reason));
                }
            }
        }
    }

    /// Goes to the next child element, which must be this one.
    pub(super) fn expect(&mut self, local: &str) -> Result<(), Refusal> {
        self.expect_of(DSIG, local)
    }

    /// The same for an element of another namespace.
    pub(super) fn expect_of(&mut self, namespace: &str, local: &str) -> Result<(), Refusal> {
        if !self.child()? {
            let reason = format!("the signature lacks {local}");
            return Err(self.walk.refuse(Code::SignatureWrong, reason));
        }
        if self.walk.is(namespace, local) {
            return Ok(());
        }
        Err(self.unexpected())
    }

    /// The refusal of an element that does not belong here.
    pub(super) fn unexpected(&self) -> Refusal {
        let walk = &self.walk;
        if walk.is(DSIG, "Object") || walk.is(DSIG, "Manifest") {
            let reason = "the signature must hold nothing besides its own data; leave out ds:Object (but for XAdES' QualifyingProperties)";
            return walk.refuse(Code::NotCovered, reason);
        }
        if walk.is(DSIG, "Reference") {
            return walk.refuse(
                Code::NotCovered,
                "the signature has several references; refer once to the whole document, and at most once to XAdES' SignedProperties",
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
    pub(super) fn end(&mut self) -> Result<(), Refusal> {
        if self.child()? { Err(self.unexpected()) } else { Ok(()) }
    }

    /// Skips the element that started last.
    pub(super) fn skip(&mut self) -> Result<(), Refusal> {
        let depth = self.walk.depth();
        loop {
            if matches!(self.walk.next()?, Node::End) && self.walk.depth() < depth {
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

    pub(super) fn value_of(&self, local: &str) -> Option<String> {
        let found = self.walk.attributes.iter().find(|a| a.prefix.is_empty() && a.local == local);
        found.map(|a| a.value().into_owned())
    }

    pub(super) fn algorithm(&self) -> Result<String, Refusal> {
        self.attributes(&["Algorithm"])?;
        self.value_of("Algorithm")
            .ok_or_else(|| self.walk.refuse(Code::SignatureWrong, "the attribute Algorithm is missing"))
    }

    /// Reads a `DigestMethod` that has started, and its end.
    pub(super) fn digest_method(&mut self) -> Result<Hash, Refusal> {
        let uri = self.algorithm()?;
        let Some(hash) = Hash::from_uri(&uri) else {
            let reason = "DigestMethod is outside the profile; use SHA-256, SHA-384 or SHA-512";
            return Err(self.walk.refuse(Code::SignatureWeak, reason));
        };
        self.end()?;
        Ok(hash)
    }

    /// Reads the element's text and its end; nothing but text may stand in it.
    pub(super) fn text(&mut self) -> Result<String, Refusal> {
        let mut text = String::new();
        loop {
            match self.walk.next()? {
                Node::Text => text.push_str(&self.walk.lines()),
                Node::Reference(c) => text.push(c),
                Node::End => return Ok(text),
                _ => {
                    let reason = "only text may stand here; leave out comments, elements and the like";
                    return Err(self.walk.refuse(Code::SignatureWrong, reason));
                }
            }
            if text.len() > TEXT {
                let reason = format!("more than {TEXT} octets of text; write less here");
                return Err(self.walk.refuse(Code::OverLimit, reason));
            }
        }
    }

    /// Reads the element's base64 content and its end: strict RFC 4648, section 4, white space
    /// aside; nothing but text, so that every reader sees the same value.
    pub(super) fn base64(&mut self) -> Result<Vec<u8>, Refusal> {
        let start = self.walk.range().start;
        let mut text = Vec::new();
        loop {
            let piece = match self.walk.next()? {
                Node::Text => self.walk.raw(),
                Node::Reference(c) if c.is_ascii_whitespace() => continue,
                Node::End => break,
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

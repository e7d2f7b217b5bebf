//! The algorithms of the profile and their names (XML Signature 1.1, section 6; RFC 6931 and
//! RFC 9231, section 2).

use aws_lc_rs::digest;

use super::sign::{Canonicalisation, Hash};

/// The namespace of XML Signature.
pub(crate) const DSIG: &str = "http://www.w3.org/2000/09/xmldsig#";
/// The namespace of XML Signature 1.1's additions.
pub(crate) const DSIG11: &str = "http://www.w3.org/2009/xmldsig11#";
/// The namespace (and name) of exclusive canonicalisation.
pub(crate) const EXCLUSIVE: &str = "http://www.w3.org/2001/10/xml-exc-c14n#";
/// The transform that takes the signature itself out.
pub(crate) const ENVELOPED: &str = "http://www.w3.org/2000/09/xmldsig#enveloped-signature";
/// The transform that filters a node-set by an XPath expression.
pub(crate) const XPATH: &str = "http://www.w3.org/TR/1999/REC-xpath-19991116";
/// The namespace of RFC 9231's parameters of RSASSA-PSS.
pub(crate) const PSS: &str = "http://www.w3.org/2007/05/xmldsig-more#";
/// The mask generation function of RSASSA-PSS (RFC 9231, section 2.3.9).
pub(crate) const MGF1: &str = "http://www.w3.org/2007/05/xmldsig-more#MGF1";
/// The type of a reference to XAdES' signed properties (EN 319 132-1, section 4.4.2).
pub(crate) const SIGNED_PROPERTIES: &str = "http://uri.etsi.org/01903#SignedProperties";

impl Canonicalisation {
    /// All of the profile.
    pub const ALL: [Self; 6] = [
        Self::Exclusive,
        Self::ExclusiveWithComments,
        Self::Inclusive,
        Self::InclusiveWithComments,
        Self::Inclusive11,
        Self::Inclusive11WithComments,
    ];

    /// Its URI.
    #[must_use]
    pub fn uri(self) -> &'static str {
        match self {
            Self::Exclusive => EXCLUSIVE,
            Self::ExclusiveWithComments => "http://www.w3.org/2001/10/xml-exc-c14n#WithComments",
            Self::Inclusive => "http://www.w3.org/TR/2001/REC-xml-c14n-20010315",
            Self::InclusiveWithComments => "http://www.w3.org/TR/2001/REC-xml-c14n-20010315#WithComments",
            Self::Inclusive11 => "http://www.w3.org/2006/12/xml-c14n11",
            Self::Inclusive11WithComments => "http://www.w3.org/2006/12/xml-c14n11#WithComments",
        }
    }

    /// The one with this URI.
    #[must_use]
    pub fn from_uri(uri: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|method| method.uri() == uri)
    }

    /// Whether it is exclusive.
    #[must_use]
    pub fn is_exclusive(self) -> bool {
        matches!(self, Self::Exclusive | Self::ExclusiveWithComments)
    }

    /// Whether it keeps comments (where the reference hands it any).
    #[must_use]
    pub fn keeps_comments(self) -> bool {
        matches!(
            self,
            Self::ExclusiveWithComments | Self::InclusiveWithComments | Self::Inclusive11WithComments
        )
    }
}

impl Hash {
    /// All of the profile.
    pub const ALL: [Self; 3] = [Self::Sha256, Self::Sha384, Self::Sha512];

    /// Its URI as a digest method.
    #[must_use]
    pub fn uri(self) -> &'static str {
        match self {
            Self::Sha256 => "http://www.w3.org/2001/04/xmlenc#sha256",
            Self::Sha384 => "http://www.w3.org/2001/04/xmldsig-more#sha384",
            Self::Sha512 => "http://www.w3.org/2001/04/xmlenc#sha512",
        }
    }

    /// The one with this URI.
    #[must_use]
    pub fn from_uri(uri: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|hash| hash.uri() == uri)
    }

    pub(crate) fn algorithm(self) -> &'static digest::Algorithm {
        match self {
            Self::Sha256 => &digest::SHA256,
            Self::Sha384 => &digest::SHA384,
            Self::Sha512 => &digest::SHA512,
        }
    }
}

/// How a signature value is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scheme {
    /// RSASSA-PKCS1-v1_5.
    Pkcs1,
    /// RSASSA-PSS with MGF1 of the same hash and a salt as long as the hash.
    Pss,
    /// The same, its parameters written out (RFC 9231, section 2.3.9).
    PssParameters,
    /// ECDSA, `r` and `s` side by side.
    Ecdsa,
    /// Ed25519 (RFC 9231, section 2.3.12); its hash is always SHA-512.
    Ed25519,
}

/// A signature method.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SignatureMethod {
    pub(crate) scheme: Scheme,
    pub(crate) hash: Hash,
}

impl SignatureMethod {
    /// Its URI.
    pub(crate) fn uri(self) -> &'static str {
        match (self.scheme, self.hash) {
            (Scheme::Pkcs1, Hash::Sha256) => "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256",
            (Scheme::Pkcs1, Hash::Sha384) => "http://www.w3.org/2001/04/xmldsig-more#rsa-sha384",
            (Scheme::Pkcs1, Hash::Sha512) => "http://www.w3.org/2001/04/xmldsig-more#rsa-sha512",
            (Scheme::Pss, Hash::Sha256) => "http://www.w3.org/2007/05/xmldsig-more#sha256-rsa-MGF1",
            (Scheme::Pss, Hash::Sha384) => "http://www.w3.org/2007/05/xmldsig-more#sha384-rsa-MGF1",
            (Scheme::Pss, Hash::Sha512) => "http://www.w3.org/2007/05/xmldsig-more#sha512-rsa-MGF1",
            (Scheme::PssParameters, _) => "http://www.w3.org/2007/05/xmldsig-more#rsa-pss",
            (Scheme::Ed25519, _) => "http://www.w3.org/2021/04/xmldsig-more#eddsa-ed25519",
            (Scheme::Ecdsa, Hash::Sha256) => "http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha256",
            (Scheme::Ecdsa, Hash::Sha384) => "http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha384",
            (Scheme::Ecdsa, Hash::Sha512) => "http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha512",
        }
    }

    /// The one with this URI; the parameters of [`Scheme::PssParameters`] are their defaults.
    pub(crate) fn from_uri(uri: &str) -> Option<Self> {
        const LONE: [SignatureMethod; 2] = [
            SignatureMethod { scheme: Scheme::PssParameters, hash: Hash::Sha256 },
            SignatureMethod { scheme: Scheme::Ed25519, hash: Hash::Sha512 },
        ];
        [Scheme::Pkcs1, Scheme::Pss, Scheme::Ecdsa]
            .into_iter()
            .flat_map(|scheme| Hash::ALL.into_iter().map(move |hash| Self { scheme, hash }))
            .chain(LONE)
            .find(|method| method.uri() == uri)
    }
}

/// What is hashed, and how: guessed before the pass, known after it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Plan {
    /// The canonicalisation.
    pub(crate) method: Canonicalisation,
    /// The prefixes that exclusive canonicalisation treats inclusively (`""`: the default).
    pub(crate) prefixes: Vec<String>,
    /// The digest.
    pub(crate) hash: Hash,
    /// The id of XAdES' signed properties, to which nothing else may answer.
    pub(crate) properties: Option<String>,
}

impl Plan {
    /// Guesses from the octets around a SignedInfo, near the end or else the first: a wrong guess
    /// costs a second pass, never a wrong answer.
    pub(crate) fn guess(text: &str) -> Self {
        const TAIL: usize = 16 * 1024;
        const AROUND: usize = 2048;
        let octets = text.as_bytes();
        let tail = octets.len().saturating_sub(TAIL);
        let found = memchr::memmem::rfind(&octets[tail..], b"SignedInfo")
            .map(|at| tail + at)
            .or_else(|| memchr::memmem::find(octets, b"SignedInfo"));
        let Some(at) = found else { return Self::default() };
        let end = octets.len().min(at + AROUND);
        let window = &octets[at.saturating_sub(AROUND)..end];
        Self::read(window).unwrap_or_default()
    }

    fn read(window: &[u8]) -> Option<Self> {
        let at = memchr::memmem::find(window, b"#enveloped-signature")?;
        let (method, at) = quoted(window, at, b"Algorithm")?;
        let method = Canonicalisation::from_uri(method)?;
        let (hash, end) = quoted(window, at, b"Algorithm")?;
        let list = quoted(window, at, b"PrefixList").filter(|(_, stop)| *stop < end);
        let prefixes = list.map(|(list, _)| prefix_list(list)).unwrap_or_default();
        let properties = properties(window);
        Some(Self { method, prefixes, hash: Hash::from_uri(hash)?, properties })
    }
}

impl Default for Plan {
    fn default() -> Self {
        Self {
            method: Canonicalisation::Exclusive,
            prefixes: Vec::new(),
            hash: Hash::Sha256,
            properties: None,
        }
    }
}

/// The id that the reference to signed properties names.
fn properties(window: &[u8]) -> Option<String> {
    let at = memchr::memmem::find(window, SIGNED_PROPERTIES.as_bytes())?;
    let tag = memchr::memrchr(b'<', window.get(..at)?)?;
    let (uri, _) = quoted(window, tag, b"URI")?;
    uri.strip_prefix('#').map(str::to_owned)
}

/// The next value of the attribute after `from`, and where it ends.
fn quoted<'w>(window: &'w [u8], from: usize, name: &[u8]) -> Option<(&'w str, usize)> {
    let at = from + memchr::memmem::find(window.get(from..)?, name)? + name.len();
    let begin = at + memchr::memchr2(b'"', b'\'', window.get(at..)?)? + 1;
    let end = begin + memchr::memchr2(b'"', b'\'', window.get(begin..)?)?;
    Some((std::str::from_utf8(window.get(begin..end)?).ok()?, end))
}

/// The prefixes of an `InclusiveNamespaces` list (Exclusive XML Canonicalization, section 4).
pub(crate) fn prefix_list(list: &str) -> Vec<String> {
    let mut prefixes: Vec<String> = list
        .split_ascii_whitespace()
        .map(|token| if token == "#default" { String::new() } else { token.to_owned() })
        .collect();
    prefixes.sort_unstable();
    prefixes.dedup();
    prefixes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uris_lead_back() {
        for method in Canonicalisation::ALL {
            assert_eq!(Canonicalisation::from_uri(method.uri()), Some(method));
        }
        for hash in Hash::ALL {
            assert_eq!(Hash::from_uri(hash.uri()), Some(hash));
            let method = SignatureMethod { scheme: Scheme::Pss, hash };
            assert_eq!(SignatureMethod::from_uri(method.uri()), Some(method));
        }
        for lone in ["2007/05/xmldsig-more#rsa-pss", "2021/04/xmldsig-more#eddsa-ed25519"] {
            let uri = format!("http://www.w3.org/{lone}");
            assert_eq!(SignatureMethod::from_uri(&uri).unwrap().uri(), uri);
        }
        for weak in ["rsa-sha1", "hmac-sha1", "dsa-sha1"] {
            assert_eq!(SignatureMethod::from_uri(&format!("{DSIG}{weak}")), None);
        }
    }

    #[test]
    fn guesses_what_stands_there() {
        let text = "<a><SignedInfo><Transform Algorithm='http://www.w3.org/2000/09/xmldsig#enveloped-signature'/>\
            <Transform Algorithm='http://www.w3.org/2001/10/xml-exc-c14n#'><I PrefixList='b #default'/></Transform>\
            <DigestMethod Algorithm='http://www.w3.org/2001/04/xmlenc#sha512'/></SignedInfo></a>";
        let plan = Plan::guess(text);
        assert_eq!((plan.method, plan.hash), (Canonicalisation::Exclusive, Hash::Sha512));
        assert_eq!(plan.prefixes, ["", "b"]);
        assert_eq!(Plan::guess("<a/>"), Plan::default());
    }
}

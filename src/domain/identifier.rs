//! Identifiers of the field, each checked when it is made.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Why a text is not the identifier it should be; a sentence for the person who wrote it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is no {what}: {rule}")]
pub struct Malformed {
    /// The kind of identifier asked for.
    pub what: &'static str,
    /// The rule it breaks.
    pub rule: &'static str,
    /// The offending text, cut to 80 characters.
    pub text: String,
}

fn malformed(what: &'static str, rule: &'static str, text: &str) -> Malformed {
    Malformed { what, rule, text: text.chars().take(80).collect() }
}

macro_rules! text_type {
    ($(#[$doc:meta])* $name:ident, $check:expr, $what:literal, $rule:literal) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// The identifier's text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = Malformed;
            fn from_str(text: &str) -> Result<Self, Malformed> {
                let check: fn(&str) -> bool = $check;
                if check(text) { Ok(Self(text.to_owned())) } else { Err(malformed($what, $rule, text)) }
            }
        }

        impl TryFrom<String> for $name {
            type Error = Malformed;
            fn try_from(text: String) -> Result<Self, Malformed> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(value: $name) -> String {
                value.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }
    };
}

fn is_key_char(c: u8) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, b'.' | b'-' | b'_' | b'/')
}

fn is_identifier(text: &str) -> bool {
    let Some((prefix, key)) = text.split_once(':') else { return false };
    (1..=20).contains(&prefix.len())
        && prefix.bytes().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit())
        && (1..=80).contains(&key.len())
        && key.bytes().all(is_key_char)
}

fn is_slug(text: &str) -> bool {
    (1..=64).contains(&text.len())
        && text
            .bytes()
            .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, b'-' | b'_' | b'.'))
}

fn is_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|c| c.is_ascii_digit())
}

const MESSAGE_ID_PREFIX: &str = "urn:de:xta:messageid:";

fn is_message_id(text: &str) -> bool {
    let Some(rest) = text.strip_prefix(MESSAGE_ID_PREFIX) else { return false };
    let Some((gateway, uuid)) = rest.rsplit_once(':') else { return false };
    text.len() <= 100 && is_slug(gateway) && uuid.len() == 36 && uuid::Uuid::try_parse(uuid).is_ok()
}

text_type!(
    /// Who sends or reads: `prefix:key` as the DVDV keeps it, e.g. `kop:06411000`.
    Identifier, is_identifier, "identifier",
    "write prefix:key with a prefix of 1 to 20 small letters or digits and a key of 1 to 80 letters, digits or . - _ /"
);
text_type!(
    /// A LeiKa/FIM service key: 14 digits beginning with 99.
    ServiceKey, |t| t.len() == 14 && t.starts_with("99") && is_digits(t), "service key",
    "a LeiKa key has 14 digits and begins with 99"
);
text_type!(
    /// An Amtlicher Regionalschlüssel: Land 2, Bezirk 3, Kreis 5, Verband 9, Gemeinde 12 digits.
    Ars, |t| matches!(t.len(), 2 | 3 | 5 | 9 | 12) && is_digits(t), "area key",
    "an ARS has 2, 3, 5, 9 or 12 digits"
);
text_type!(
    /// The directory's own name of an authority.
    AuthorityId, is_slug, "authority id", "use 1 to 64 small letters, digits, - _ or ."
);
text_type!(
    /// The directory's own name of an endpoint.
    EndpointId, is_slug, "endpoint id", "use 1 to 64 small letters, digits, - _ or ."
);
text_type!(
    /// The name of an account in the configuration.
    AccountName, is_slug, "account name", "use 1 to 64 small letters, digits, - _ or ."
);
text_type!(
    /// `urn:de:xta:messageid:<gateway>:<uuid>`, at most 100 characters: the message's one name
    /// on its whole way.
    MessageId, is_message_id, "message id",
    "it reads urn:de:xta:messageid:<gateway>:<uuid> and has at most 100 characters"
);

impl MessageId {
    /// The id that `gateway` gives to a message.
    ///
    /// # Errors
    /// When `gateway` is not a short name of small letters, digits, `-`, `_` or `.`.
    pub fn new(gateway: &str, uuid: uuid::Uuid) -> Result<Self, Malformed> {
        format!("{MESSAGE_ID_PREFIX}{gateway}:{uuid}").parse()
    }

    /// Gateway and UUID, where [`MessageId::new`] makes the same text of them: not where somebody wrote the
    /// UUID in capitals.
    #[must_use]
    pub fn parts(&self) -> Option<(&str, uuid::Uuid)> {
        let (gateway, uuid) = self.0.strip_prefix(MESSAGE_ID_PREFIX)?.rsplit_once(':')?;
        if uuid.bytes().any(|octet| octet.is_ascii_uppercase()) {
            return None;
        }
        Some((gateway, uuid::Uuid::try_parse(uuid).ok()?))
    }
}

impl Ars {
    /// The areas to ask, the most exact first: Gemeinde, Verband, Kreis, Bezirk, Land.
    pub fn climb(&self) -> impl Iterator<Item = &str> {
        [12, 9, 5, 3, 2].into_iter().filter(|n| *n <= self.0.len()).map(|n| &self.0[..n])
    }
}

/// A SHA-256 digest.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, Default)]
pub struct Digest(pub [u8; 32]);

impl Digest {
    /// The digest of `octets`.
    #[must_use]
    pub fn of(octets: &[u8]) -> Self {
        let mut out = [0; 32];
        out.copy_from_slice(aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, octets).as_ref());
        Self(out)
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|octet| write!(f, "{octet:02x}"))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accepts_what_the_field_writes_and_refuses_the_rest() {
        for good in ["kop:06411000", "psw:06534014", "wgp:010500100000"] {
            assert!(good.parse::<Identifier>().is_ok(), "{good}");
        }
        for bad in ["", ":", "kop:", ":1", "KOP:1", "kop:a b", "kop:ä", "kop"] {
            assert!(bad.parse::<Identifier>().is_err(), "{bad}");
        }
        assert!("99102013104000".parse::<ServiceKey>().is_ok());
        assert!("9910201310400".parse::<ServiceKey>().is_err());
        assert!("0641".parse::<Ars>().is_err());
        assert!(
            "urn:de:xta:messageid:hessen:01900000-0000-7000-8000-000000000000".parse::<MessageId>().is_ok()
        );
        assert!("urn:de:xta:messageid:hessen:../../etc".parse::<MessageId>().is_err());
    }

    #[test]
    fn climbs_from_the_municipality_to_the_land() {
        let ars: Ars = "065340014014".parse().unwrap();
        assert_eq!(ars.climb().collect::<Vec<_>>(), ["065340014014", "065340014", "06534", "065", "06"]);
    }
}

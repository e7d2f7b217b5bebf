//! Namespace declarations in scope (Namespaces in XML 1.0).

use std::borrow::Cow;

/// The namespace of `xml:` (section 3).
pub(crate) const XML: &str = "http://www.w3.org/XML/1998/namespace";
/// The namespace of `xmlns:` (section 3).
pub(crate) const XMLNS: &str = "http://www.w3.org/2000/xmlns/";

/// The namespace of `xsi:type` (XML Schema Part 1, section 2.6).
pub(crate) const XSI: &str = "http://www.w3.org/2001/XMLSchema-instance";

/// No namespace.
pub(crate) const NONE: usize = 0;
/// The binding of `xml`.
pub(crate) const XML_BINDING: usize = 1;

/// A prefix (empty: the default) with its namespace (empty: none).
#[derive(Clone, Debug)]
pub(crate) struct Binding<'d> {
    /// The prefix.
    pub(crate) prefix: &'d str,
    /// The namespace.
    pub(crate) uri: Cow<'d, str>,
    /// The first octets of the prefix ([`head`]).
    head: u64,
    serial: u64,
}

impl Binding<'_> {
    /// Whether it is of this prefix, whose [`head`] is at hand: most are told apart, or known, by that alone.
    #[inline]
    fn is_of(&self, prefix: &str, head: u64) -> bool {
        self.head == head && (prefix.len() < 8 || self.prefix == prefix)
    }
}

/// The first eight octets; no name has an octet 0.
#[inline]
fn head(prefix: &str) -> u64 {
    match prefix.as_bytes() {
        [a, b, c, d, e, f, g, h, ..] => u64::from_be_bytes([*a, *b, *c, *d, *e, *f, *g, *h]),
        few => few.iter().fold(0, |head, octet| head << 8 | u64::from(*octet)),
    }
}

/// The stack of bindings in scope. A binding's number stays good as long as it is in scope.
#[derive(Clone, Debug)]
pub(crate) struct Namespaces<'d> {
    bindings: Vec<Binding<'d>>,
    /// The serial number of the next binding.
    next: u64,
}

/// Why a declaration is refused; a sentence.
pub(crate) type BadDeclaration = &'static str;

impl<'d> Namespaces<'d> {
    /// With nothing but `xml` bound.
    pub(crate) fn new() -> Self {
        let mut bindings = Vec::with_capacity(16);
        bindings.push(Binding { prefix: "", uri: Cow::Borrowed(""), head: 0, serial: 0 });
        bindings.push(Binding { prefix: "xml", uri: Cow::Borrowed(XML), head: head("xml"), serial: 1 });
        Self { bindings, next: 2 }
    }

    /// How many bindings are in scope.
    #[inline]
    pub(crate) fn len(&self) -> usize {
        self.bindings.len()
    }

    /// Ends the scope of all bindings from number `mark` on.
    #[inline]
    pub(crate) fn truncate(&mut self, mark: usize) {
        self.bindings.truncate(mark);
    }

    /// The binding of this number.
    #[inline]
    pub(crate) fn get(&self, number: usize) -> &Binding<'d> {
        // Numbers come from this stack; one out of scope falls back to "none".
        self.bindings.get(number).unwrap_or(&self.bindings[NONE])
    }

    /// The namespace of the binding of this number.
    #[inline]
    pub(crate) fn uri(&self, number: usize) -> &str {
        &self.get(number).uri
    }

    /// A number that no other binding of this document ever has, unlike its own, which is given again when its
    /// scope has ended.
    #[inline]
    pub(crate) fn serial(&self, number: usize) -> u64 {
        self.get(number).serial
    }

    /// The binding of `prefix`.
    #[inline]
    pub(crate) fn resolve(&self, prefix: &str) -> Option<usize> {
        let head = head(prefix);
        self.bindings.iter().rposition(|binding| binding.is_of(prefix, head))
    }

    /// Whether two bindings are of one prefix.
    #[inline]
    pub(crate) fn same_prefix(&self, one: usize, other: usize) -> bool {
        let other = self.get(other);
        self.get(one).is_of(other.prefix, other.head)
    }

    /// The bindings from number `mark` on.
    pub(crate) fn since(&self, mark: usize) -> &[Binding<'d>] {
        self.bindings.get(mark..).unwrap_or_default()
    }

    /// Declares a prefix after the rules of section 3 and 5 and the rule of Canonical XML 1.0
    /// (section 1.3) that a namespace must be an absolute URI.
    ///
    /// # Errors
    /// The rule that is broken.
    pub(crate) fn declare(&mut self, prefix: &'d str, uri: Cow<'d, str>) -> Result<(), BadDeclaration> {
        if prefix == "xmlns" {
            return Err("the prefix xmlns must not be declared");
        }
        if (prefix == "xml") != (uri == XML) {
            return Err("the prefix xml and its namespace belong to each other alone");
        }
        if uri == XMLNS {
            return Err("the namespace of xmlns must not be declared");
        }
        if uri.is_empty() && !prefix.is_empty() {
            return Err("a prefix can't be undeclared in XML 1.0; give it a namespace");
        }
        if !uri.is_empty() && !is_absolute(&uri) {
            return Err("a namespace must be an absolute URI to be signed; write one with a scheme");
        }
        self.bindings.push(Binding { prefix, uri, head: head(prefix), serial: self.next });
        self.next += 1;
        Ok(())
    }

    /// Sorts the bindings from number `mark` on by prefix; the first prefix that is there twice.
    pub(crate) fn sort(&mut self, mark: usize) -> Option<&'d str> {
        let new = self.bindings.get_mut(mark..)?;
        new.sort_unstable_by(|a, b| a.prefix.cmp(b.prefix));
        new.windows(2).find(|pair| pair[0].prefix == pair[1].prefix).map(|pair| pair[0].prefix)
    }
}

/// Whether `uri` is an absolute URI: a scheme, and only what RFC 3986 (section 2 and 3.1) allows.
fn is_absolute(uri: &str) -> bool {
    let Some((scheme, rest)) = uri.split_once(':') else { return false };
    let mut octets = rest.bytes();
    while let Some(octet) = octets.next() {
        let fits = match octet {
            b'%' => (0..2).all(|_| octets.next().is_some_and(|digit| digit.is_ascii_hexdigit())),
            _ => octet.is_ascii_alphanumeric() || b"-._~:/?#[]@!$&'()*+,;=".contains(&octet),
        };
        if !fits {
            return false;
        }
    }
    scheme.starts_with(|c: char| c.is_ascii_alphabetic())
        && scheme.bytes().all(|c| c.is_ascii_alphanumeric() || matches!(c, b'+' | b'-' | b'.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_the_rules_of_namespaces() {
        let mut stack = Namespaces::new();
        for (prefix, uri) in [("xmlns", "urn:a"), ("xml", "urn:a"), ("p", XML), ("p", XMLNS), ("p", "")] {
            assert!(stack.declare(prefix, Cow::Borrowed(uri)).is_err(), "{prefix} {uri}");
        }
        for uri in ["relative/uri", "1a:b", "urn:a b", "http://example.org/%;3", "http://example.org/%C"] {
            assert!(stack.declare("p", Cow::Borrowed(uri)).is_err(), "{uri}");
        }
        stack.declare("xml", Cow::Borrowed(XML)).unwrap();
        stack.declare("", Cow::Borrowed("urn:a")).unwrap();
        stack.declare("", Cow::Borrowed("")).unwrap();
        assert_eq!(stack.uri(stack.resolve("").unwrap()), "");
        stack.truncate(4);
        assert_eq!(stack.uri(stack.resolve("").unwrap()), "urn:a");
        assert_eq!(stack.resolve("q"), None);
    }

    #[test]
    fn finds_a_prefix_declared_twice() {
        let mut stack = Namespaces::new();
        let mark = stack.len();
        for prefix in ["b", "a", "b"] {
            stack.declare(prefix, Cow::Borrowed("urn:x")).unwrap();
        }
        assert_eq!(stack.sort(mark), Some("b"));
    }
}

//! `anyURI` (XSD 1.0 part 2, section 3.2.17).

/// Whether the text is a URI reference (RFC 2396 with RFC 2732) once the characters that may not stand in one are
/// escaped as XLink 1.0, section 5.4, does: nearly everything is.
pub(super) fn is_uri(text: &str) -> bool {
    let octets = text.as_bytes();
    let (mut fragment, mut scheme, mut hierarchy) = (false, None, false);
    for (at, octet) in octets.iter().enumerate() {
        match octet {
            b'%' => {
                let hex = |at: usize| octets.get(at).is_some_and(u8::is_ascii_hexdigit);
                if !hex(at + 1) || !hex(at + 2) {
                    return false;
                }
            }
            b'#' if fragment => return false,
            b'#' => fragment = true,
            b'/' | b'?' => hierarchy = true,
            b':' if !hierarchy && !fragment && scheme.is_none() => scheme = Some(at),
            _ => {}
        }
    }
    match scheme {
        None => has_host(text),
        Some(at) => {
            let (name, rest) = text.split_at(at);
            let begins = name.as_bytes().first().is_some_and(u8::is_ascii_alphabetic);
            let continues = |c: &u8| c.is_ascii_alphanumeric() || matches!(c, b'+' | b'-' | b'.');
            let rest = rest.get(1..).unwrap_or_default();
            begins
                && name.as_bytes().iter().all(continues)
                && !(rest.is_empty() || rest.starts_with('#'))
                && has_host(rest)
        }
    }
}

/// Whether the brackets in the authority, if there is one, stand around an address, and its port is a number.
fn has_host(rest: &str) -> bool {
    let Some(authority) = rest.strip_prefix("//") else { return true };
    let end = authority.find(['/', '?', '#']).unwrap_or(authority.len());
    let authority = authority.get(..end).unwrap_or_default();
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    if !host.contains(['[', ']']) {
        return true;
    }
    let inner = host.strip_prefix('[').and_then(|host| host.split_once(']'));
    inner.is_some_and(|(address, port)| {
        let fits = |c: char| c.is_ascii_hexdigit() || matches!(c, ':' | '.');
        let digits = port.strip_prefix(':').unwrap_or_default();
        !address.is_empty()
            && address.chars().all(fits)
            && (port.is_empty() || port.starts_with(':') && digits.bytes().all(|c| c.is_ascii_digit()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_nearly_everything() {
        for good in [
            "",
            "http://example.org/a?b#c",
            "a b",
            "äöü",
            "urn:de:xta:1",
            "../x",
            "#f",
            "//h",
            "http://[::1]:80/",
            "a/b:c",
            "mailto:a@b",
            "?a:b",
            "<>",
            "file:///c:/x",
            "http://h:/",
            "\"{}|\\^`",
        ] {
            assert!(is_uri(good), "{good}");
        }
        for bad in [
            ":a",
            "1a:b",
            "a:",
            "%",
            "%g0",
            "a#b#c",
            "http://[::1",
            "http://]/",
            "ä:b",
            "a%2",
            "x y:z",
            "a:#b",
        ] {
            assert!(!is_uri(bad), "{bad}");
        }
    }
}

//! Comments, processing instructions and the XML declaration (XML 1.0, sections 2.5, 2.6, 2.8).

use crate::error::{Code, Refusal};

use super::names;
use super::walk::{Node, Walk};

impl<'d> Walk<'d> {
    /// Checks a comment.
    pub(super) fn check_comment(&self) -> Result<Node, Refusal> {
        let content = self.comment();
        if content.len() > self.limits.text {
            return Err(self.over_limit("octets in a comment", self.limits.text));
        }
        if content.contains("--") || content.ends_with('-') {
            return Err(self.malformed("-- must not stand in a comment"));
        }
        Ok(Node::Comment)
    }

    /// Checks a processing instruction.
    pub(super) fn check_instruction(&self) -> Result<Node, Refusal> {
        let (target, _) = self.instruction();
        if self.raw().len() > self.limits.text.saturating_add("<??>".len()) {
            return Err(self.over_limit("octets in a processing instruction", self.limits.text));
        }
        if target.len() > self.limits.name {
            return Err(self.over_limit("octets in a name", self.limits.name));
        }
        if !names::is_ncname(target) {
            return Err(self.malformed("a processing instruction needs a name without a colon"));
        }
        if target.eq_ignore_ascii_case("xml") {
            return Err(
                self.malformed("the target xml is reserved; an XML declaration stands at the very beginning")
            );
        }
        Ok(Node::Instruction)
    }

    /// Checks the XML declaration (XML 1.0, production 23) and goes on to the next node.
    pub(super) fn declaration(&mut self) -> Result<Node, Refusal> {
        if self.from != 0 || self.fragment {
            return Err(self.malformed("an XML declaration may stand only at the very beginning"));
        }
        let raw = self.raw();
        let mut rest = raw.get(5..raw.len() - 2).unwrap_or_default();
        let version = pseudo_attribute(&mut rest, "version");
        let encoding = pseudo_attribute(&mut rest, "encoding");
        let standalone = pseudo_attribute(&mut rest, "standalone");
        if !names::is_space(rest) || version.is_none() || !matches!(standalone, None | Some("yes" | "no")) {
            return Err(self.malformed(
                "the XML declaration is malformed; write <?xml version=\"1.0\" encoding=\"UTF-8\"?>",
            ));
        }
        if version != Some("1.0") {
            return Err(self.refuse(Code::Forbidden, "only XML 1.0 is accepted"));
        }
        match encoding {
            Some(name) if !["UTF-8", "US-ASCII"].iter().any(|known| known.eq_ignore_ascii_case(name)) => {
                Err(self.refuse(
                    Code::NotUtf8,
                    "the XML declaration names another encoding; write the document in UTF-8",
                ))
            }
            Some(name) if name.eq_ignore_ascii_case("US-ASCII") && !self.document.text.is_ascii() => {
                Err(self.refuse(
                    Code::NotUtf8,
                    "the document says US-ASCII and holds other characters; say UTF-8",
                ))
            }
            _ => self.next(),
        }
    }
}

/// Takes `name="value"` with white space before it off the front of `rest`.
fn pseudo_attribute<'t>(rest: &mut &'t str, name: &str) -> Option<&'t str> {
    const SPACES: [char; 4] = [' ', '\t', '\r', '\n'];
    let after = rest.strip_prefix(SPACES)?.trim_start_matches(SPACES).strip_prefix(name)?;
    let after = after.trim_start_matches(SPACES).strip_prefix('=')?.trim_start_matches(SPACES);
    let quote = after.chars().next().filter(|c| matches!(c, '"' | '\''))?;
    let (value, after) = after.get(1..)?.split_once(quote)?;
    *rest = after;
    Some(value)
}

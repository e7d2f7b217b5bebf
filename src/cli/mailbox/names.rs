//! File names that others chose, made safe for this machine.

use std::collections::HashSet;

/// Longest name that is written, in octets.
const MAX: usize = 150;

/// Gives each name once.
#[derive(Debug, Default)]
pub struct Names {
    given: HashSet<String>,
}

impl Names {
    /// Names with these taken already.
    #[must_use]
    pub fn with(taken: &[&str]) -> Self {
        Self { given: taken.iter().map(|n| n.to_lowercase()).collect() }
    }

    /// A name as like `wish` as is safe: one path component, no leading dot, no control
    /// character, none of the characters that some system gives a meaning to; not given before
    /// (also not in other letter case).
    pub fn give(&mut self, wish: &str) -> String {
        let base = wish.rsplit(['/', '\\']).next().unwrap_or_default();
        let mut safe = String::new();
        for c in base.trim_start_matches(|c: char| c == '.' || c.is_whitespace()).trim_end().chars() {
            let c = match c {
                c if c.is_control() => '_',
                '<' | '>' | ':' | '"' | '|' | '?' | '*' => '_',
                '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => '_',
                c => c,
            };
            if safe.len() + c.len_utf8() > MAX {
                break;
            }
            safe.push(c);
        }
        if safe.is_empty() {
            "anlage".clone_into(&mut safe);
        }
        let mut name = safe.clone();
        let mut n = 1;
        while !self.given.insert(name.to_lowercase()) {
            n += 1;
            name = format!("{n}-{safe}");
        }
        name
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_stay_in_the_folder_and_are_given_once() {
        let mut names = Names::with(&["message.xml"]);
        assert_eq!(names.give("plan.pdf"), "plan.pdf");
        assert_eq!(names.give("../../etc/passwd"), "passwd");
        assert_eq!(names.give("C:\\temp\\Plan.pdf"), "2-Plan.pdf");
        assert_eq!(names.give("message.xml"), "2-message.xml");
        assert_eq!(names.give("..."), "anlage");
        assert_eq!(names.give(""), "2-anlage");
        assert_eq!(names.give("a\u{0}\nb:c"), "a__b_c");
        assert_eq!(names.give(".bashrc"), "bashrc");
        assert_eq!(names.give("\t. .profile"), "profile");
        assert!(names.give(&"ä".repeat(500)).len() <= MAX);
    }

    proptest::proptest! {
        #[test]
        fn whatever_the_wish_the_name_is_one_component(wish in ".*") {
            let name = Names::default().give(&wish);
            proptest::prop_assert!(!name.is_empty() && !name.contains(['/', '\\', '\0']));
            proptest::prop_assert!(!name.starts_with('.') && name.len() <= MAX + 8);
            proptest::prop_assert_eq!(std::path::Path::new(&name).components().count(), 1);
        }
    }
}

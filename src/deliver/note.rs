//! What an authority says about a refusal, made fit for the history and the operators' page:
//! printable, short, and without the words of the message itself. Authorities' error texts like
//! to repeat what they choke on ("invalid name 'Meier'"), and payload must not leak that way.

use std::collections::HashSet;

use http::HeaderValue;
use quick_xml::events::Event;

/// Characters kept of a note.
const NOTE: usize = 200;
/// Events read of an answer or document.
const EVENTS: usize = 200_000;

/// Printable text: control characters and runs of space become one space; bounded.
pub(crate) fn printable(octets: &[u8]) -> String {
    let text = String::from_utf8_lossy(octets);
    let mut out = String::new();
    for word in text.split(|c: char| c.is_whitespace() || c.is_control() || is_format(c)) {
        if word.is_empty() {
            continue;
        }
        if !out.is_empty() {
            out.push(' ');
        }
        out.extend(word.chars().take(NOTE));
        if out.len() > NOTE * 4 {
            break;
        }
    }
    out.chars().take(NOTE).collect()
}

/// Characters that turn or hide text around them.
fn is_format(c: char) -> bool {
    matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

/// What an answer says: title and detail of a problem document (RFC 9457), or plain text.
pub(crate) fn of_answer(content_type: Option<&HeaderValue>, octets: &[u8]) -> String {
    let kind = content_type.and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    match kind.as_str() {
        "text/plain" => printable(octets),
        "application/json" | "application/problem+json" => of_json(octets),
        "application/xml" | "text/xml" | "application/problem+xml" => of_xml(octets),
        _ => String::new(),
    }
}

/// The members of a problem that people read.
const MEMBERS: [&str; 5] = ["code", "title", "detail", "reason", "message"];

fn of_json(octets: &[u8]) -> String {
    let Ok(serde_json::Value::Object(members)) = serde_json::from_slice(octets) else {
        return String::new();
    };
    let said: Vec<_> = MEMBERS.iter().filter_map(|name| members.get(*name)?.as_str()).collect();
    printable(said.join(" ").as_bytes())
}

fn of_xml(octets: &[u8]) -> String {
    let text = String::from_utf8_lossy(octets);
    let mut reader = quick_xml::Reader::from_str(&text);
    let mut said = String::new();
    let mut wanted = false;
    for _ in 0..EVENTS {
        match reader.read_event() {
            Ok(Event::Start(start)) => {
                wanted = MEMBERS.iter().any(|name| start.local_name().as_ref() == *name);
            }
            Ok(Event::Text(text)) if wanted => said.extend([text.as_ref(), " "]),
            Ok(Event::End(_)) => wanted = false,
            Ok(Event::Eof) | Err(_) => break,
            Ok(_) => {}
        }
    }
    printable(said.as_bytes())
}

/// The words of a document's texts and attribute values, in small letters; names of elements
/// and attributes are not among them.
pub(crate) fn words_of(document: &[u8]) -> HashSet<String> {
    let mut words = HashSet::new();
    let mut take = |text: &str| {
        let text = text.to_lowercase();
        words.extend(split(&text).filter(|word| is_word(word)).map(str::to_owned));
    };
    // A run of text, put together over character references: `J&#252;rgen` is one word.
    let mut run = String::new();
    let document = String::from_utf8_lossy(document);
    let mut reader = quick_xml::Reader::from_str(&document);
    for _ in 0..EVENTS {
        match reader.read_event() {
            Ok(Event::Text(text)) => run.push_str(&text),
            Ok(Event::CData(text)) => run.push_str(&text),
            Ok(Event::GeneralRef(name)) => {
                run.push(name.resolve_char_ref().ok().flatten().unwrap_or(' '));
            }
            Ok(Event::Start(start) | Event::Empty(start)) => {
                take(&std::mem::take(&mut run));
                start.attributes().flatten().for_each(|attribute| take(&attribute.value));
            }
            Ok(Event::End(_)) => take(&std::mem::take(&mut run)),
            Ok(Event::Eof) | Err(_) => break,
            Ok(_) => {}
        }
    }
    words
}

/// `note` without what it repeats of a document with these words, and without numbers of two or
/// more digits (dates and file numbers are often rewritten) unless they belong to a code.
pub(crate) fn mask(note: &str, words: &HashSet<String>) -> String {
    let mut out = String::new();
    let mut rest = note;
    while let Some(start) = rest.find(char::is_alphanumeric) {
        let (gap, tail) = rest.split_at(start);
        let end = tail.find(|c: char| !c.is_alphanumeric()).unwrap_or(tail.len());
        let (word, after) = tail.split_at(end);
        let in_code = gap == "-" && out.ends_with("AW");
        out.push_str(gap);
        let digits = word.chars().filter(|c| c.is_numeric()).count();
        let tells = digits >= 2 || (is_word(word) && words.contains(&word.to_lowercase()));
        out.push_str(if tells && !in_code { "…" } else { word });
        rest = after;
    }
    out.push_str(rest);
    out
}

fn split(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !c.is_alphanumeric())
}

fn is_word(word: &str) -> bool {
    word.chars().nth(2).is_some()
}

/// Whether `needle` occurs in `octets`.
pub(crate) fn contains(octets: &[u8], needle: &[u8]) -> bool {
    !needle.is_empty() && octets.windows(needle.len()).any(|window| window == needle)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const DOCUMENT: &[u8] = b"<antrag art='Hundesteuer'><vorname>J&#252;rgen</vorname>\
        <geboren>1980-02-01</geboren><![CDATA[Hinterhaus]]></antrag>";

    #[test]
    fn an_answer_does_not_carry_payload_into_the_history() {
        let words = words_of(DOCUMENT);
        let masked = mask("AW-0111: vorname 'JÜRGEN' born 01.02.1980, Hinterhaus, ungültig", &words);
        assert_eq!(masked, "AW-0111: vorname '…' born ….….…, …, ungültig");
        assert_eq!(mask("", &words), "");
        assert_eq!(mask("art Hundesteuer!", &words), "art …!");
    }

    #[test]
    fn problems_are_read_in_both_writings() {
        let header = |text: &'static str| Some(HeaderValue::from_static(text));
        let json = br#"{"type":"about:blank","title":"Schema","detail":"line\u0007 four","x":"secret"}"#;
        assert_eq!(of_answer(header("application/problem+json").as_ref(), json), "Schema line four");
        let xml = b"<problem xmlns='urn:ietf:rfc:7807'><title>Schema</title><x>secret</x><detail>here</detail></problem>";
        let kind = header("application/problem+xml; charset=utf-8");
        assert_eq!(of_answer(kind.as_ref(), xml), "Schema here");
        assert_eq!(of_answer(header("text/plain").as_ref(), b"no\r\n\x00such   thing"), "no such thing");
        assert_eq!(of_answer(header("text/html").as_ref(), b"<h1>secret</h1>"), "");
        assert_eq!(of_answer(None, b"secret"), "");
    }

    proptest! {
        #[test]
        fn printable_text_is_short_and_has_no_control_characters(octets in proptest::collection::vec(any::<u8>(), 0..5000)) {
            let text = printable(&octets);
            prop_assert!(text.chars().count() <= NOTE);
            prop_assert!(!text.chars().any(|c| c.is_control() || is_format(c)));
        }

        #[test]
        fn no_word_of_the_document_survives(words in proptest::collection::vec("[a-zäöüA-Z]{3,9}", 1..9)) {
            let document = format!("<a>{}</a>", words.join(" "));
            let masked = mask(&words.join(", "), &words_of(document.as_bytes()));
            prop_assert!(!masked.chars().any(char::is_alphabetic), "{}", masked);
        }
    }
}

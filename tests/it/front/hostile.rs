//! Hostile documents through a real front: each is refused with its code, and the gateway's memory
//! stays within 4 times the document and 8 MiB (invariant 10). The gateway runs in a process of its
//! own, so that what is measured is the gateway's.

use std::fmt::Write as _;

use amtsweg::error::Code;

use super::large::Process;
use crate::support::{Client, Draft, pki::Pki};

/// What invariant 10 allows on top of four times the size.
const BASE: u64 = 8 << 20;

fn bombs() -> Vec<(&'static str, Vec<u8>)> {
    let attributes: String = (0..20_000).fold(String::new(), |mut text, n| {
        let _ = write!(text, " a{n}=\"\"");
        text
    });
    let namespaces: String = (0..20_000).fold(String::new(), |mut text, n| {
        let _ = write!(text, " xmlns:p{n}=\"urn:{n}\"");
        text
    });
    let nested: String = (0..2_000).fold(String::new(), |mut text, n| {
        let _ = write!(text, "<x xmlns:p{n}=\"urn:{n}\">");
        text
    });
    vec![
        ("depth", "<a>".repeat(1_000_000).into_bytes()),
        ("attributes", format!("<a{attributes}/>").into_bytes()),
        ("namespaces", format!("<a{namespaces}/>").into_bytes()),
        ("namespaces in scope", nested.into_bytes()),
        ("a name", format!("<{}/>", "n".repeat(1 << 20)).into_bytes()),
        ("elements", format!("<a>{}</a>", "<b/>".repeat(2 << 20)).into_bytes()),
        ("entities", b"<!DOCTYPE a [<!ENTITY b \"&c;&c;\"><!ENTITY c \"&d;&d;\">]><a>&b;</a>".to_vec()),
        ("an external entity", b"<!DOCTYPE a SYSTEM \"file:///etc/passwd\"><a/>".to_vec()),
        ("UTF-16", "\u{feff}<a/>".encode_utf16().flat_map(u16::to_le_bytes).collect()),
        ("NULs", vec![0; 1 << 20]),
        ("nothing", Vec::new()),
    ]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bombs_and_truncated_documents_are_refused_within_bounded_memory() {
    let folder = tempfile::tempdir().unwrap();
    let pki = Pki::make(&folder.path().join("pki"));
    let (process, addr) = Process::start(folder.path());
    let portal = Client::new(&pki, addr, Some("portal"));
    let good = Draft::default().signed(&pki.signer("signer"));
    assert_eq!(portal.post_message(&good, &[]).await.status, 201);
    for (what, document) in bombs() {
        let before = process.reset_peak();
        let answer = portal.post_message(&document, &[]).await;
        let grown = process.memory("VmHWM").saturating_sub(before);
        let code = answer.code();
        let of_form = [Code::NotWellFormed, Code::Forbidden, Code::OverLimit, Code::NotUtf8];
        assert!(of_form.iter().any(|c| c.as_str() == code), "{what}: {code}");
        println!("{what}: {} octets, {code}, memory grew by {grown} octets", document.len());
        assert!(grown <= 4 * document.len() as u64 + BASE, "{what}: {grown}");
    }
    for cut in (0..good.len()).step_by(64) {
        let answer = portal.post_message(good.get(..cut).unwrap(), &[]).await;
        assert_eq!(answer.code(), "AW-0101", "cut at {cut}");
    }
    let again = portal.post_message(&good, &[]).await;
    assert_eq!(again.status, 200, "the server stays up");
}

//! What the whole verification needs beyond the document's own octets: the same for a small document as for a large
//! one. Each document has a process of its own, as in `schema/memory`.

#![cfg(target_os = "linux")]

use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use peak_alloc::PeakAlloc;

use super::whole::{Whole, application};
use super::{Limits, NOW, alone};
use crate::antrag::{Application, Content};
use crate::verify::header::Rules;
use crate::verify::schema::Schemas;
use crate::verify::trust::Trust;
use crate::verify::{Came, Settings, Verifier};

const FOLDER: &str = "AMTSWEG_VERIFY_MEMORY";
/// Octets that a verification may take beyond the document.
const BOUND: usize = 256 << 10;

#[global_allocator]
static MEMORY: PeakAlloc = PeakAlloc;

/// Limits that let large documents of small elements through.
fn limits() -> Limits {
    Limits { elements: 1_000_000, ..Limits::default() }
}

fn verified(verifier: &Verifier, octets: &Bytes) {
    verifier.verify(octets.clone(), &[] as &[Came], NOW).unwrap();
}

/// A document of a folder, behind a small one that fills what is filled once: tables, the chain's verdict. Counted is what the allocator was asked for.
#[test]
fn one_document() {
    let Ok(folder) = std::env::var(FOLDER) else { return };
    let read = |name: &str| std::fs::read(Path::new(&folder).join(name)).unwrap();
    let verifier = Verifier::new(Settings {
        limits: limits(),
        rules: Arc::new(Rules::built_in()),
        schemas: Arc::new(Schemas::load(&[]).unwrap()),
        trust: Arc::new(Trust::from_octets(&read("anchor.pem"), &[]).unwrap()),
    });
    verified(&verifier, &read("small.xml").into());
    let octets = Bytes::from(read("document.xml"));
    let before = MEMORY.current_usage();
    MEMORY.reset_peak_usage();
    verified(&verifier, &octets);
    let taken = MEMORY.peak_usage() - before;
    println!("{} KiB, and {taken} octets", octets.len() / 1024);
    assert!(taken > 0 && taken <= BOUND, "{taken} octets for {} KiB", octets.len() / 1024);
}

#[test]
fn a_verification_needs_the_same_little_memory_at_any_size() {
    let whole = Whole::new(limits());
    let base = Application { attachments: Vec::new(), ..application() };
    let foreign = |inside: &str, octets: usize| {
        Content::Element(format!("<a xmlns=\"urn:a\">{}</a>", inside.repeat(octets / inside.len())))
    };
    let base64 = |octets: usize| Content::Binary {
        media_type: "application/pdf".to_owned(),
        octets: vec![7; octets / 4 * 3].into(),
    };
    let small = whole.sign(&base);
    for size in [4 << 10, 64 << 10, 1 << 20, 10 << 20] {
        for (kind, content) in [
            ("small elements", foreign("<b c=\"1\">x &amp; y</b>\r\n", size)),
            ("one text", foreign("Bäume ", size)),
            ("base64", base64(size)),
        ] {
            let folder = tempfile::tempdir().unwrap();
            let put = |name: &str, octets: &[u8]| std::fs::write(folder.path().join(name), octets).unwrap();
            put("anchor.pem", whole.world.pki.anchor.as_bytes());
            put("small.xml", &small);
            put("document.xml", &whole.sign(&Application { content, ..base.clone() }));
            println!("{kind}: {}", alone("verify::tests::memory::one_document", FOLDER, folder.path()));
        }
    }
}

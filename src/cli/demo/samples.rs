//! `DIR/samples`: signed messages for trying `amtsweg submit`. The demo does not hand them in itself.

use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;

use super::cases::Portal;
use super::folder::Folder;
use crate::cli::Fault;
use crate::cli::input::{read_small, write_new};
use crate::domain::Timestamp;
use crate::verify::Verifier;

/// Samples without attachments.
const SAMPLES: u32 = 8;

/// Writes the samples that are missing or that the present PKI did not sign.
///
/// # Errors
/// When a file can't be written.
pub fn write(folder: &Folder, portal: &Portal, verifier: &Arc<Verifier>) -> Result<(), Fault> {
    let dir = folder.path("samples");
    make(&dir)?;
    for (i, case) in portal.plain(SAMPLES)?.into_iter().enumerate() {
        let name = format!("{:02}-{}-{}.xml", i + 1, slug(&case.service), slug(&case.place));
        let path = dir.join(name);
        keep(&path, &case.document, verifier)?;
    }
    // Apart from the others: this one is for trying `amtsweg sign`.
    let unsigned = dir.join("unsigned");
    make(&unsigned)?;
    let path = unsigned.join("message.xml");
    if !path.exists() {
        write_new(&path, &portal.unsigned()?, false, false)?;
    }
    // These need `--attach`.
    let dir = dir.join("with-attachment");
    make(&dir)?;
    let (document, attachments) = portal.with_attachment()?;
    let path = dir.join("message.xml");
    if keep(&path, &document, verifier)? {
        for attachment in attachments {
            write_new(&dir.join(slug_file(&attachment.name)), &attachment.octets, false, true)?;
        }
    }
    Ok(())
}

/// An attachment's name as a file name that needs no quoting.
fn slug_file(name: &str) -> String {
    let (stem, ending) = name.rsplit_once('.').unwrap_or((name, "bin"));
    format!("{}.{}", slug(stem), slug(ending))
}

fn make(dir: &Path) -> Result<(), Fault> {
    std::fs::create_dir_all(dir).map_err(|e| Fault::file("make", dir, &e))
}

/// Writes a sample unless a good one is there: people may have handed it in, and its UUID counts.
/// True when it was written.
fn keep(path: &Path, document: &Bytes, verifier: &Verifier) -> Result<bool, Fault> {
    if path.exists() {
        let there = Bytes::from(read_small(path)?);
        if verifier.signature(&there, Timestamp::now()).is_ok() {
            return Ok(false);
        }
    }
    write_new(path, document, false, true).map(|()| true)
}

/// A name as a file name: small ASCII letters, digits and hyphens.
fn slug(text: &str) -> String {
    let mut slug = String::new();
    for c in text.to_lowercase().chars() {
        match c {
            'ä' => slug.push_str("ae"),
            'ö' => slug.push_str("oe"),
            'ü' => slug.push_str("ue"),
            'ß' => slug.push_str("ss"),
            c if c.is_ascii_alphanumeric() => slug.push(c),
            _ if !slug.is_empty() && !slug.ends_with('-') => slug.push('-'),
            _ => {}
        }
    }
    slug.trim_end_matches('-').chars().take(40).collect()
}

#[cfg(test)]
mod tests {
    #[test]
    fn file_names_are_plain() {
        assert_eq!(super::slug("Großalmerode, Stadt"), "grossalmerode-stadt");
        assert_eq!(super::slug("Anmeldung der Eheschließung"), "anmeldung-der-eheschliessung");
    }
}

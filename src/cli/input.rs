//! Reading what the user names: bounded, `-` is standard input.

use std::fs::File;
use std::io::{Read, Write};
use std::path::Path;

use super::Fault;

/// What was read.
pub enum Input {
    /// All of it.
    Whole(Vec<u8>),
    /// It has more octets than the bound.
    TooLarge,
}

/// Reads a file, or standard input for `-`, of at most `bound` octets.
///
/// # Errors
/// When the file can't be read.
pub fn read(path: &Path, bound: usize) -> Result<Input, Fault> {
    let fault = |e: std::io::Error| Fault::file("read", path, &e);
    let limit = u64::try_from(bound).unwrap_or(u64::MAX).saturating_add(1);
    let mut octets = Vec::new();
    if path == Path::new("-") {
        std::io::stdin().lock().take(limit).read_to_end(&mut octets).map_err(fault)?;
    } else {
        let file = File::open(path).map_err(fault)?;
        if file.metadata().map_err(fault)?.is_dir() {
            return Err(Fault::said(format!("{} is a folder; name a file", path.display())));
        }
        file.take(limit).read_to_end(&mut octets).map_err(fault)?;
    }
    Ok(if octets.len() > bound { Input::TooLarge } else { Input::Whole(octets) })
}

/// A day as the user writes it.
///
/// # Errors
/// How to write it.
pub fn day(text: &str) -> Result<jiff::civil::Date, String> {
    text.parse().map_err(|_| "write a day as YYYY-MM-DD, e.g. 2030-01-01".to_owned())
}

/// Reads a small file such as a certificate or a key.
///
/// # Errors
/// When it can't be read or has more than 1 MiB.
pub fn read_small(path: &Path) -> Result<Vec<u8>, Fault> {
    match read(path, 1 << 20)? {
        Input::Whole(octets) => Ok(octets),
        Input::TooLarge => {
            Err(Fault::said(format!("{} has more than 1 MiB; is it the right file?", path.display())))
        }
    }
}

/// Writes a new file, whole or not at all; an existing one is replaced only if `replace`.
///
/// # Errors
/// When it exists and may not be replaced, or can't be written.
pub fn write_new(path: &Path, octets: &[u8], private: bool, replace: bool) -> Result<(), Fault> {
    use std::os::unix::fs::OpenOptionsExt;
    if !replace && path.exists() {
        return Err(Fault::said(format!(
            "{} exists and is left as it is; remove it or name another",
            path.display()
        )));
    }
    let fault = |e: std::io::Error| Fault::file("write", path, &e);
    let mut name = path.file_name().unwrap_or_default().to_os_string();
    name.push(format!(".{}.part", std::process::id()));
    let part = path.with_file_name(name);
    let written = std::fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(if private { 0o600 } else { 0o644 })
        .open(&part)
        .and_then(|mut file| file.write_all(octets).and_then(|()| file.sync_all()))
        .and_then(|()| std::fs::rename(&part, path));
    if written.is_err() {
        // Best effort: the fault below is what matters.
        let _ = std::fs::remove_file(&part);
    }
    written.map_err(fault)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_up_to_the_bound_and_no_further() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("a");
        std::fs::write(&file, b"12345").unwrap();
        assert!(matches!(read(&file, 5).unwrap(), Input::Whole(o) if o == b"12345"));
        assert!(matches!(read(&file, 4).unwrap(), Input::TooLarge));
        assert!(read(&dir.path().join("missing"), 4).is_err());
        assert!(read(dir.path(), 4).is_err());
    }

    #[test]
    fn days_are_read_and_others_told_how_to_write_them() {
        assert_eq!(day("2030-01-01").unwrap().to_string(), "2030-01-01");
        assert!(["rubbish", "01.01.2030", ""].iter().all(|d| day(d).unwrap_err().contains("YYYY-MM-DD")));
    }

    #[test]
    fn does_not_overwrite_unless_told() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("a.key");
        write_new(&file, b"1", true, false).unwrap();
        assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
        assert!(write_new(&file, b"2", true, false).is_err());
        assert_eq!(std::fs::read(&file).unwrap(), b"1");
        write_new(&file, b"2", true, true).unwrap();
        assert_eq!(std::fs::read(&file).unwrap(), b"2");
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
    }
}

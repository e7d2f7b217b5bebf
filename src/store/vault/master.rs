//! Master keys: what wraps the store's own keys. The store asks no more of one than this file's
//! trait, so that a token behind PKCS#11 can take the place of a file.

use std::fmt::Debug;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use aws_lc_rs::hmac;

use super::VaultFault;
use super::cipher::{Cipher, NONCE, Secret, TAG, random};

/// Octets that a key's file may have: the key in hexadecimal digits, and some white space.
const MOST: u64 = 256;

/// Wraps and unwraps keys of 32 octets. Called a few times at a start and at a rotation, never for
/// a message: it may be slow. The key itself need not be in this process.
pub trait MasterKey: Send + Sync + Debug {
    /// Names the key without telling it; stands in the keyring and in messages to operators.
    fn id(&self) -> &str;

    /// Wraps a key.
    ///
    /// # Errors
    /// [`VaultFault`] when the key can't be used for the moment.
    fn wrap_key(&self, key: &Secret) -> Result<Vec<u8>, VaultFault>;

    /// The key again.
    ///
    /// # Errors
    /// [`VaultFault::Unopened`] when this key has not wrapped it, or the octets are changed.
    fn unwrap_key(&self, wrapped: &[u8]) -> Result<Secret, VaultFault>;
}

/// Where a master key is to be found.
#[derive(Clone, PartialEq, Eq)]
pub enum MasterSource {
    /// A file that its owner alone may read.
    File(PathBuf),
    /// A systemd credential of this name: a file in the folder that `CREDENTIALS_DIRECTORY` names.
    Credential(String),
}

impl Debug for MasterSource {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::File(_) => "File(redacted)",
            Self::Credential(_) => "Credential(redacted)",
        })
    }
}

impl MasterSource {
    /// Reads the key.
    ///
    /// # Errors
    /// A sentence that says what to do; never the content.
    pub fn load(&self) -> Result<SoftKey, String> {
        match self {
            Self::File(path) => {
                private(path)?;
                read(path)
            }
            Self::Credential(name) => {
                let folder = std::env::var_os("CREDENTIALS_DIRECTORY").ok_or_else(|| {
                    format!(
                        "credential {name}: CREDENTIALS_DIRECTORY is not set; write LoadCredentialEncrypted={name}:… \
                         into the unit, or name a file"
                    )
                })?;
                // systemd guards that folder itself; its access lists look like a group's rights.
                read(&PathBuf::from(folder).join(name))
            }
        }
    }
}

/// Refuses a key that others than its owner may read or write.
fn private(path: &Path) -> Result<(), String> {
    let mode = std::fs::metadata(path).map_err(|e| unreadable(path, &e))?.mode();
    if mode & 0o077 != 0 {
        return Err(format!(
            "{} may be read or written by others (mode {:04o}): chmod 600 {}",
            path.display(),
            mode & 0o7777,
            path.display()
        ));
    }
    Ok(())
}

fn unreadable(path: &Path, error: &std::io::Error) -> String {
    format!("{}: {error}; make a key with: openssl rand -hex 32", path.display())
}

fn read(path: &Path) -> Result<SoftKey, String> {
    let len = std::fs::metadata(path).map_err(|e| unreadable(path, &e))?.len();
    let octets =
        if len > MOST { Vec::new() } else { std::fs::read(path).map_err(|e| unreadable(path, &e))? };
    let key = of_text(&octets).ok_or_else(|| {
        format!("{} holds no key: write 64 hexadecimal digits, as openssl rand -hex 32 does", path.display())
    })?;
    SoftKey::new(&key).map_err(|fault| format!("{}: {fault}", path.display()))
}

/// 64 hexadecimal digits, white space around them, or 32 octets as they are.
fn of_text(octets: &[u8]) -> Option<Secret> {
    if let Some(key) = Secret::of(octets) {
        return Some(key);
    }
    let digits = std::str::from_utf8(octets).ok()?.trim();
    if digits.len() != 64 || !digits.bytes().all(|d| d.is_ascii_hexdigit()) {
        return None;
    }
    let octet = |at: usize| u8::from_str_radix(digits.get(2 * at..2 * at + 2)?, 16).ok();
    let key: Vec<u8> = (0..32).map(octet).collect::<Option<_>>()?;
    Secret::of(&key)
}

/// A master key in this process' memory: AES-256-GCM with random nonces.
#[derive(Debug)]
pub struct SoftKey {
    id: String,
    cipher: Cipher,
}

impl SoftKey {
    /// This key. Its id is the first half of HMAC-SHA-256 over a fixed text.
    ///
    /// # Errors
    /// [`VaultFault::Cipher`].
    pub fn new(key: &Secret) -> Result<Self, VaultFault> {
        let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key.octets()), b"amtsweg master key id");
        let id = tag.as_ref().iter().take(8).map(|octet| format!("{octet:02x}")).collect();
        Ok(Self { id, cipher: Cipher::new(key)? })
    }
}

impl MasterKey for SoftKey {
    fn id(&self) -> &str {
        &self.id
    }

    fn wrap_key(&self, key: &Secret) -> Result<Vec<u8>, VaultFault> {
        wrap(&self.cipher, b"", key)
    }

    fn unwrap_key(&self, wrapped: &[u8]) -> Result<Secret, VaultFault> {
        unwrap(&self.cipher, b"", wrapped)
    }
}

/// A key wrapped under another: random nonce, encrypted key, tag.
pub(super) fn wrap(cipher: &Cipher, bound: &[u8], key: &Secret) -> Result<Vec<u8>, VaultFault> {
    let mut nonce = [0; NONCE];
    random(&mut nonce)?;
    let mut octets = *key.octets();
    let tag = cipher.seal(nonce, bound, &mut octets)?;
    Ok([&nonce[..], &octets, &tag].concat())
}

/// The key again.
pub(super) fn unwrap(cipher: &Cipher, bound: &[u8], wrapped: &[u8]) -> Result<Secret, VaultFault> {
    let (nonce, rest) = wrapped.split_first_chunk::<NONCE>().ok_or(VaultFault::Unopened)?;
    let mut octets = rest.to_vec();
    if octets.len() < TAG {
        return Err(VaultFault::Unopened);
    }
    let len = cipher.open(*nonce, bound, &mut octets)?;
    let key = octets.get(..len).and_then(Secret::of).ok_or(VaultFault::Unopened);
    octets.fill(0);
    key
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn file(folder: &Path, text: &[u8], mode: u32) -> MasterSource {
        let path = folder.join("master.key");
        let _ = std::fs::remove_file(&path);
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        MasterSource::File(path)
    }

    #[test]
    fn a_key_comes_from_a_file_of_its_owner_alone() {
        let folder = tempfile::tempdir().unwrap();
        let digits = "0123456789abcdef".repeat(4);
        let key = file(folder.path(), format!("{digits}\n").as_bytes(), 0o600).load().unwrap();
        let raw: Vec<u8> =
            (0..32).map(|n| u8::from_str_radix(&digits[2 * n..2 * n + 2], 16).unwrap()).collect();
        assert_eq!(file(folder.path(), &raw, 0o400).load().unwrap().id(), key.id());
        assert_eq!(key.id().len(), 16);
        for mode in [0o640, 0o604, 0o620, 0o602] {
            let why = file(folder.path(), digits.as_bytes(), mode).load().unwrap_err();
            assert!(why.contains("chmod 600") && !why.contains(&digits), "{why}");
        }
        for wrong in [&b"abc"[..], &b"g".repeat(64), &b"0".repeat(63), &b"0".repeat(1000)] {
            let why = file(folder.path(), wrong, 0o600).load().unwrap_err();
            assert!(why.contains("openssl rand -hex 32"), "{why}");
        }
        let why = MasterSource::File(folder.path().join("none")).load().unwrap_err();
        assert!(why.contains("openssl rand -hex 32"), "{why}");
        assert!(!format!("{:?}", file(folder.path(), &raw, 0o600)).contains("master.key"));
    }

    #[test]
    fn only_the_key_that_wrapped_unwraps() {
        let (one, other) = (Secret::random().unwrap(), Secret::random().unwrap());
        let (master, stranger) = (SoftKey::new(&one).unwrap(), SoftKey::new(&other).unwrap());
        let key = Secret::random().unwrap();
        let wrapped = master.wrap_key(&key).unwrap();
        assert_eq!(wrapped.len(), 60);
        assert_eq!(master.unwrap_key(&wrapped).unwrap(), key);
        assert!(matches!(stranger.unwrap_key(&wrapped), Err(VaultFault::Unopened)));
        for at in 0..wrapped.len() {
            let mut flipped = wrapped.clone();
            flipped[at] ^= 1;
            assert!(master.unwrap_key(&flipped).is_err() && master.unwrap_key(&wrapped[..at]).is_err());
        }
        assert_ne!(master.wrap_key(&key).unwrap(), wrapped, "no nonce comes twice");
        assert!(!format!("{master:?} {key:?}").contains(&format!("{:?}", key.octets())));
    }
}

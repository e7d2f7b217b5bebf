//! AES-256-GCM (NIST SP 800-38D), and the keys that go with it.

use std::fmt;

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};

use super::VaultFault;

/// Octets of a key.
pub(crate) const KEY: usize = 32;
/// Octets of a nonce.
pub(crate) const NONCE: usize = 12;
/// Octets of a tag.
pub(crate) const TAG: usize = 16;

/// A secret key of 32 octets. Debug output does not show it; it is overwritten when it is dropped,
/// as far as the compiler lets us.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret([u8; KEY]);

impl Secret {
    /// A new one, from the operating system's randomness.
    ///
    /// # Errors
    /// [`VaultFault::Random`].
    pub fn random() -> Result<Self, VaultFault> {
        let mut key = Self([0; KEY]);
        random(&mut key.0)?;
        Ok(key)
    }

    /// These octets; `None` when there are not 32.
    #[must_use]
    pub fn of(octets: &[u8]) -> Option<Self> {
        octets.try_into().ok().map(Self)
    }

    /// The octets.
    #[must_use]
    pub fn octets(&self) -> &[u8; KEY] {
        &self.0
    }
}

impl Drop for Secret {
    fn drop(&mut self) {
        self.0.fill(0);
        std::hint::black_box(&self.0);
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(redacted)")
    }
}

/// Fills `octets` at random.
pub(crate) fn random(octets: &mut [u8]) -> Result<(), VaultFault> {
    aws_lc_rs::rand::fill(octets).map_err(|_| VaultFault::Random)
}

/// A key in use.
pub(crate) struct Cipher(LessSafeKey);

impl fmt::Debug for Cipher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Cipher(redacted)")
    }
}

impl Cipher {
    pub(crate) fn new(key: &Secret) -> Result<Self, VaultFault> {
        let key = UnboundKey::new(&AES_256_GCM, key.octets()).map_err(|_| VaultFault::Cipher)?;
        Ok(Self(LessSafeKey::new(key)))
    }

    /// Encrypts in place and gives the tag. The caller answers for it that no nonce comes twice
    /// under one key.
    pub(crate) fn seal(
        &self,
        nonce: [u8; NONCE],
        bound: &[u8],
        octets: &mut [u8],
    ) -> Result<[u8; TAG], VaultFault> {
        let nonce = Nonce::assume_unique_for_key(nonce);
        let tag = self.0.seal_in_place_separate_tag(nonce, Aad::from(bound), octets);
        let tag = tag.map_err(|_| VaultFault::Cipher)?;
        tag.as_ref().try_into().map_err(|_| VaultFault::Cipher)
    }

    /// Decrypts `octets` with their tag behind them; gives how many octets are left in front.
    pub(crate) fn open(
        &self,
        nonce: [u8; NONCE],
        bound: &[u8],
        octets: &mut [u8],
    ) -> Result<usize, VaultFault> {
        let nonce = Nonce::assume_unique_for_key(nonce);
        let opened = self.0.open_in_place(nonce, Aad::from(bound), octets);
        opened.map(|plain| plain.len()).map_err(|_| VaultFault::Unopened)
    }
}

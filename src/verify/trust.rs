//! Trust: anchors, CRLs, certificate chains.

use std::path::Path;

/// Anchors and CRLs, loaded once.
pub struct Trust {}

impl Trust {
    /// No anchors at all: every signer is untrusted.
    #[must_use]
    pub fn none() -> Self {
        Self {}
    }

    /// Reads anchors (a PEM file, or a folder of them) and CRLs (PEM or DER, a file or folder).
    ///
    /// # Errors
    /// A sentence per fault: nothing there, not a certificate, not a CRL.
    pub fn load(anchors: &Path, crls: Option<&Path>) -> Result<Self, Vec<String>> {
        let _ = (anchors, crls);
        todo!()
    }
}

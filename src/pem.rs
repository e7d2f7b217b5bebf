//! Certificates and keys in PEM files, read the same way wherever the configuration names one: a
//! fault is one sentence with the file in it, and a file without a certificate is a fault.

use std::path::Path;

use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

/// All certificates of a file, in its order; at least one.
///
/// # Errors
/// A sentence that names the file.
pub(crate) fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let fault = |e| format!("{}: no PEM certificate: {e}", path.display());
    let all: Vec<_> =
        CertificateDer::pem_file_iter(path).map_err(fault)?.collect::<Result<_, _>>().map_err(fault)?;
    if all.is_empty() {
        return Err(format!("{}: holds no PEM certificate", path.display()));
    }
    Ok(all)
}

/// The first private key of a file (PKCS#8, PKCS#1 or SEC1).
///
/// # Errors
/// A sentence that names the file, without anything of what is in it.
pub(crate) fn key(path: &Path) -> Result<PrivateKeyDer<'static>, String> {
    PrivateKeyDer::from_pem_file(path).map_err(|e| format!("{}: no PEM key: {e}", path.display()))
}

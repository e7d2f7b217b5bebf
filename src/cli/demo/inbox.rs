//! What a sample authority does with a message: check that it is signed by somebody trusted, and
//! keep it in a folder under its id.

use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;

use crate::cli::Fault;
use crate::domain::{MessageId, Timestamp};
use crate::verify::Verifier;
use crate::verify::trust::Trust;

/// The inbox of one authority.
#[derive(Clone)]
pub struct Inbox {
    folder: PathBuf,
    verifier: Arc<Verifier>,
}

impl Inbox {
    /// An inbox in `folder`.
    ///
    /// # Errors
    /// When the folder can't be made.
    pub fn open(folder: PathBuf, verifier: Arc<Verifier>) -> Result<Self, Fault> {
        std::fs::create_dir_all(&folder).map_err(|e| Fault::file("make", &folder, &e))?;
        Ok(Self { folder, verifier })
    }

    /// Whether the message is here.
    #[must_use]
    pub fn has(&self, id: &MessageId) -> bool {
        self.path(id).exists()
    }

    /// Checks and keeps a message; on disk when this returns. Taking it again is harmless.
    ///
    /// # Errors
    /// Why it is not taken.
    pub async fn take(&self, id: &MessageId, document: Bytes) -> Result<(), String> {
        let (this, path) = (self.clone(), self.path(id));
        let work = move || {
            this.verifier.signature(&document, Timestamp::now()).map_err(|refusal| refusal.to_string())?;
            crate::cli::input::write_new(&path, &document, false, true).map_err(|fault| fault.to_string())
        };
        // Checking computes and keeping waits for the disk: not on the threads that serve.
        tokio::task::spawn_blocking(work).await.map_err(|e| e.to_string())?
    }

    /// The file of a message. The id ends with a UUID that is checked when an id is made.
    fn path(&self, id: &MessageId) -> PathBuf {
        let uuid = id.as_str().rsplit(':').next().unwrap_or_default();
        self.folder.join(format!("{uuid}.xml"))
    }
}

/// A verifier that trusts the demo's CA and checks signatures alone.
///
/// # Errors
/// When the PKI can't be used.
pub fn verifier(pki: &std::path::Path) -> Result<Verifier, Fault> {
    let trust = Trust::load(&pki.join("ca.pem"), Some(&pki.join("ca.crl.pem")))
        .map_err(|faults| Fault::all("cannot use the demo's CA", &faults))?;
    crate::cli::schemas::verifier(&[], trust)
}

//! What a reload swaps, whole or not at all.

use std::sync::Arc;

use arc_swap::ArcSwap;
use tokio::sync::Mutex;

use super::expiry;
use super::material::Material;
use crate::config::{Config, Fault};
use crate::deliver::Deliver;
use crate::domain::Timestamp;
use crate::front::{Accounts, tls};
use crate::observe::scrape::Validities;
use crate::route::Directory;
use crate::store::Store;
use crate::verify::Verifier;

/// The swappable parts; the rooms hold the same ones.
pub struct Live {
    pub config: ArcSwap<Config>,
    pub verifier: Arc<ArcSwap<Verifier>>,
    pub directory: Arc<ArcSwap<Directory>>,
    pub accounts: Arc<ArcSwap<Accounts>>,
    pub validities: Arc<ArcSwap<Validities>>,
    pub tls: tls::Server,
    pub operators_tls: tls::Server,
    pub deliver: Arc<Deliver>,
    pub store: Arc<Store>,
    /// One reload at a time.
    pub one: Mutex<()>,
}

impl Live {
    /// Reads everything anew; see [`super::App::reload`].
    pub async fn reload(&self) -> Result<Vec<&'static str>, Vec<Fault>> {
        let _one = self.one.lock().await;
        let old = self.config.load_full();
        let file = old.file.clone();
        let read = tokio::task::spawn_blocking(move || {
            let config = Config::load(&file)?;
            let material = Material::load(&config)?;
            Ok::<_, Vec<Fault>>((config, material))
        });
        let (config, material) =
            read.await.map_err(|error| vec![Fault::new("", format!("reading failed: {error}"))])??;
        let (store, masters) = (Arc::clone(&self.store), material.masters.clone());
        // What can still fail comes first. A key that is taken for nothing does no harm: the one before
        // still has to be configured then, or the next start says that it is missing.
        let rotated = tokio::task::spawn_blocking(move || store.rotate(&masters)).await;
        let rotated = rotated.map_err(|error| error.to_string()).and_then(|r| r.map_err(|f| f.to_string()));
        rotated.map_err(|problem| vec![Fault::new("store.encryption.keys", problem)])?;
        self.take(&old, config, material)
    }

    fn take(&self, old: &Config, new: Config, material: Material) -> Result<Vec<&'static str>, Vec<Fault>> {
        // What can still fail comes first.
        for server in [&self.tls, &self.operators_tls] {
            server.reload().map_err(|problems| {
                problems.into_iter().map(|problem| Fault::new("tls", problem)).collect::<Vec<_>>()
            })?;
        }
        let restart = needs_restart(old, &new);
        self.verifier.store(Arc::new(material.verifier));
        self.directory.store(Arc::new(material.directory));
        self.accounts.store(Arc::new(self.accounts.load().renewed(material.accounts)));
        // The signer stays until a restart: its validity is still that of the old file's reading.
        let mut validities = validities(old);
        if let Some(signing) = self.validities.load().get("signing") {
            validities.insert("signing", *signing);
        }
        self.validities.store(Arc::new(validities));
        self.config.store(Arc::new(kept(old, new)));
        self.deliver.wake();
        Ok(restart)
    }
}

/// The sections that differ and are only read at start.
fn needs_restart(old: &Config, new: &Config) -> Vec<&'static str> {
    let limits = crate::config::Limits { document: old.limits.document, ..new.limits.clone() };
    [
        ("gateway", old.gateway != new.gateway),
        ("listen", old.listen != new.listen),
        ("tls (the paths)", old.tls != new.tls),
        ("signing", old.signing != new.signing),
        ("limits (other than those inside a document)", old.limits != limits),
        ("delivery", old.delivery != new.delivery),
        ("store", needing_restart(&old.store) != needing_restart(&new.store)),
        ("proof", old.proof != new.proof),
        ("backup", old.backup != new.backup),
        ("log", old.log != new.log),
        ("xta", old.xta != new.xta),
        ("second_opinion", old.second_opinion != new.second_opinion),
    ]
    .into_iter()
    .filter_map(|(section, differs)| differs.then_some(section))
    .collect()
}

/// What of `[store]` is only read at start: not the master keys, as long as there are some.
fn needing_restart(store: &crate::config::Store) -> (crate::config::Store, bool) {
    let encryption = crate::config::Encryption { on: store.encryption.on, keys: Vec::new() };
    (crate::config::Store { encryption, ..store.clone() }, store.encryption.keys.is_empty())
}

/// The configuration now in force: the old one where only a restart brings the new.
fn kept(old: &Config, new: Config) -> Config {
    let old = old.clone();
    let limits = crate::config::Limits { document: new.limits.document, ..old.limits };
    let encryption = crate::config::Encryption { keys: new.store.encryption.keys, ..old.store.encryption };
    let store = crate::config::Store { encryption, ..old.store };
    Config {
        trust: new.trust,
        schemas: new.schemas,
        directory: new.directory,
        accounts: new.accounts,
        limits,
        store,
        ..old
    }
}

/// Ends of validity of the gateway's own certificates.
pub fn validities(config: &Config) -> Validities {
    let end = |path| expiry::earliest(path).unwrap_or(Timestamp(0));
    Validities::from([
        ("tls", end(&config.tls.pair.certificate)),
        ("signing", end(&config.signing.certificate)),
    ])
}

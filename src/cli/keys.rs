//! `--master-key`: for commands that read an encrypted store's folder.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Args;

use super::Fault;
use crate::store::{MasterKey, MasterSource, ReadingKeys};

/// Master keys of an encrypted store.
#[derive(Clone, Debug, Default, Args)]
pub struct MasterKeys {
    /// The file of the store's master key, where the store is encrypted.
    #[arg(long, value_name = "FILE")]
    pub master_key: Vec<PathBuf>,
}

impl MasterKeys {
    /// Reads them.
    ///
    /// # Errors
    /// With what to do about the file.
    pub fn masters(&self) -> Result<Vec<Arc<dyn MasterKey>>, Fault> {
        let load = |path: &PathBuf| {
            let key = MasterSource::File(path.clone()).load().map_err(Fault::said)?;
            Ok(Arc::new(key) as Arc<dyn MasterKey>)
        };
        self.master_key.iter().map(load).collect()
    }

    /// The keys to read the store in `data` with.
    ///
    /// # Errors
    /// When it is encrypted and none of the master keys is its own.
    pub fn of(&self, data: &Path) -> Result<ReadingKeys, Fault> {
        let opened = ReadingKeys::open(data, &self.masters()?);
        opened.map_err(|fault| Fault::said(format!("{fault} (here: --master-key FILE)")))
    }
}

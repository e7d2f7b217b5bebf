//! `amtsweg ledger compare`.

use std::path::PathBuf;

use clap::Args;

use super::keys::MasterKeys;
use super::ledger::{ledger_folder, open, trusted};
use super::{Done, Ended, Fault};
use crate::backup::compare;

/// `ledger compare`.
#[derive(Debug, Args)]
pub struct CompareArgs {
    /// The store's folder.
    #[arg(long)]
    pub data: PathBuf,
    /// A later export of its ledger.
    #[arg(long)]
    pub export: PathBuf,
    /// The gateway's certificate for signatures (PEM); all of them, if it had several.
    #[arg(long, required = true)]
    pub cert: Vec<PathBuf>,
    /// Keys of an encrypted store.
    #[command(flatten)]
    pub keys: MasterKeys,
    /// One JSON object.
    #[arg(long)]
    pub json: bool,
}

/// Says what a store lacks of a later export; exit 1 when it lacks anything.
///
/// # Errors
/// When files can't be read, or don't belong together.
pub fn compare_with(args: &CompareArgs) -> Done {
    ledger_folder(&args.data)?;
    let keys = args.keys.of(&args.data)?;
    let compared = compare::compare(&args.data, &keys, &mut open(&args.export)?, &trusted(&args.cert)?)
        .map_err(|fault| Fault::said(fault.to_string()))?;
    super::backup::say_compared(&compared, args.json)?;
    let whole = compared.missing.is_empty() && compared.behind.is_empty();
    Ok(if whole { Ended::Well } else { Ended::Refused })
}

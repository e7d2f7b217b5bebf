//! `amtsweg check`: everything that start would read, all faults at once, and what runs out.

use std::path::Path;

use super::expiry::{self, Expiry};
use super::material::{self, Material};
use crate::config::{Config, Fault};
use crate::domain::{Role, Timestamp, Way};
use crate::route::Directory;
use crate::store;

/// Days that `check` looks ahead when no date is named.
const AHEAD: i64 = 30;

/// What a check found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// What keeps the gateway from starting, or makes it useless.
    pub faults: Vec<Fault>,
    /// What is allowed but deserves a look.
    pub warnings: Vec<String>,
    /// What runs out by the date asked for, the earliest end first.
    pub expiring: Vec<Expiry>,
    /// The date looked ahead to.
    pub by: jiff::civil::Date,
}

impl Report {
    /// Whether the gateway would start and do its work.
    #[must_use]
    pub fn is_good(&self) -> bool {
        self.faults.is_empty()
    }
}

/// Checks a configuration and all files it names, and what expires by `by` (inclusive; without it
/// within 30 days). Changes nothing but for a file it creates and removes in the data folder.
#[must_use]
pub fn check(file: &Path, by: Option<jiff::civil::Date>) -> Report {
    let now = Timestamp::now();
    let by = by.unwrap_or_else(|| {
        now.date().checked_add(jiff::Span::new().days(AHEAD)).unwrap_or(jiff::civil::Date::MAX)
    });
    let mut report = Report { by, ..Report::default() };
    // Faults of the configuration do not hide those of the files that the rest of it names.
    let (config, faults) = Config::survey(file);
    report.faults = faults;
    let Some(config) = config else {
        return report;
    };
    let mut all = expiry::all(&config);
    match Material::load(&config) {
        Ok(material) => {
            master_keys(&config, &material, &mut report);
            all.extend(expiry::of_directory(&material.directory));
            report.warnings.extend(material.directory.warnings().iter().cloned());
            report.warnings.extend(material.directory.expiring(by));
            report.warnings.extend(nobody_pulls(&config, &material.directory));
        }
        Err(faults) => report.faults.extend(faults),
    }
    report
        .faults
        .extend(material::outbound(&config).into_iter().map(|problem| Fault::new("delivery", problem)));
    if let Err(problem) = writable(&config.gateway.data) {
        report.faults.push(Fault::new("gateway.data", problem));
    }
    if let Some(folder) = config.backup.as_ref().filter(|folder| !folder.is_dir()) {
        report.warnings.push(format!(
            "backup.folder: {} is not there: until it is mounted or made, no backup can be asked for",
            folder.display()
        ));
    }
    if config.accounts.is_empty() {
        report.warnings.push("there is no [[account]]: nobody may use the gateway".to_owned());
    }
    all.sort_by(|a, b| (a.until, &a.key, &a.what).cmp(&(b.until, &b.key, &b.what)));
    ends(&mut report, all, now);
    report
}

/// Whether the store in the data folder can be opened with the master keys that are configured, and which
/// of them it needs.
fn master_keys(config: &Config, material: &Material, report: &mut Report) {
    let mut fault = |problem| report.faults.push(Fault::new("store.encryption.keys", problem));
    let state = match store::vault_state(&config.gateway.data) {
        Ok(Some(state)) => state,
        Ok(None) => return,
        Err(problem) => return fault(problem.to_string()),
    };
    let ids: Vec<&str> = material.masters.iter().map(|key| key.id()).collect();
    match ids.iter().position(|id| *id == state.master) {
        None => fault(format!(
            "the store is encrypted under the master key {}, which is none of those configured ({}): name its file \
             in store.encryption.keys",
            state.master,
            if ids.is_empty() { "none".to_owned() } else { ids.join(", ") }
        )),
        Some(0) if state.moving => report.warnings.push(format!(
            "store.encryption.keys: keys of messages are still moving to the master key {}; leave the old ones until \
             this is over",
            state.master
        )),
        Some(0) => report.warnings.extend(
            ids.iter().skip(1).map(|id| {
                format!("store.encryption.keys: the master key {id} is not needed any more; remove it")
            }),
        ),
        Some(_) => report.warnings.push(format!(
            "store.encryption.keys: the master key {} is still needed, until the gateway has read the new list \
             (SIGHUP or restart)",
            state.master
        )),
    }
}

fn ends(report: &mut Report, all: Vec<Expiry>, now: Timestamp) {
    for expiry in all {
        if expiry.vital && expiry.until < now {
            let problem = format!("{} expired at {}; replace it", expiry.what, expiry.until);
            report.faults.push(Fault::new(expiry.key.clone(), problem));
        }
        if expiry.until.date() <= report.by {
            report.expiring.push(expiry);
        }
    }
}

/// Mailboxes whose messages no account could fetch.
fn nobody_pulls(config: &Config, directory: &Directory) -> Vec<String> {
    let mut lonely = Vec::new();
    for authority in directory.authorities() {
        let Some(endpoint) = authority.endpoint.as_ref().and_then(|id| directory.endpoint(id)) else {
            continue;
        };
        if endpoint.way() != Way::Pull {
            continue;
        }
        let pulled = config.accounts.iter().any(|account| {
            account.account.may(Role::Authority)
                && authority.identifiers.iter().any(|identifier| account.account.is(identifier))
        });
        if !pulled {
            lonely.push(format!(
                "authority {} pulls from endpoint {}, but no account with the role authority has one of its \
                 identifiers: its messages would wait for ever",
                authority.id, endpoint.id
            ));
        }
    }
    lonely
}

/// The data folder, or where it is not there yet the folder it will be made in, takes a file.
fn writable(data: &Path) -> Result<(), String> {
    let there = data.ancestors().find(|folder| folder.exists()).unwrap_or(Path::new("/"));
    let probe = there.join(format!(".amtsweg-check-{}", std::process::id()));
    let done = std::fs::write(&probe, b"").and_then(|()| std::fs::remove_file(&probe));
    done.map_err(|error| format!("{} is not writable: {error}; correct its owner or mode", there.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_that_is_not_there_yet_is_judged_by_its_parent() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(writable(&dir.path().join("a/b/c")), Ok(()));
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0, "nothing stays behind");
        let file = dir.path().join("file");
        std::fs::write(&file, b"").unwrap();
        assert!(writable(&file).is_err());
    }

    #[test]
    fn own_certificates_that_have_expired_are_faults_and_others_are_told() {
        let end = |vital, days: u64| Expiry {
            key: "k".to_owned(),
            what: "w".to_owned(),
            until: Timestamp(days * 86_400_000),
            vital,
        };
        let by = Timestamp(20 * 86_400_000).date();
        let mut report = Report { by, ..Report::default() };
        ends(
            &mut report,
            vec![end(true, 5), end(false, 5), end(true, 20), end(true, 21)],
            Timestamp(10 * 86_400_000),
        );
        assert_eq!(report.faults.len(), 1);
        assert_eq!(report.expiring.len(), 3);
    }
}

//! The demo's folder: PKI, configuration, directory, samples, data. Made once, kept afterwards.

use std::fmt::Write;
use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};

use crate::cli::input::write_new;
use crate::cli::{Fault, pki};
use crate::domain::{Identifier, Transport};
use crate::route::{Directory, Files, PUSH_BASE};

/// The identifier as which the sample portal writes.
pub const AUTHOR: &str = "psw:06000001";
/// How the configuration of a demo begins.
const MARK: &str = "# Made by `amtsweg demo`";
/// What is made before the configuration.
const BEFORE_CONFIG: [&str; 3] = [LOCK, "pki", "directory"];
/// Held while a demo runs in the folder.
const LOCK: &str = ".demo.lock";

/// A demo folder.
#[derive(Clone, Debug)]
pub struct Folder {
    dir: PathBuf,
}

impl Folder {
    /// Makes the folder's PKI, directory and configuration as far as they are missing. Push
    /// endpoints lead to `port` on this machine afterwards.
    ///
    /// # Errors
    /// When the folder is somebody's own, or can't be written.
    pub fn prepare(dir: &Path, port: u16) -> Result<Self, Fault> {
        let dir = std::path::absolute(dir).map_err(|e| Fault::file("find", dir, &e))?;
        let folder = Self { dir };
        pki::ensure(&folder.pki())?;
        folder.directory(port)?;
        let config = folder.config_file();
        if !config.exists() {
            let directory = Directory::load(&folder.path("directory"))
                .map_err(|faults| Fault::all("cannot use the sample directory", &faults))?;
            write_new(&config, config_text(&directory).as_bytes(), false, false)?;
        }
        Ok(folder)
    }

    /// Refuses a folder that is not empty and no demo's; makes it if it is missing.
    ///
    /// # Errors
    /// When it is somebody's own, or can't be read or made.
    pub fn check(dir: &Path) -> Result<(), Fault> {
        std::fs::create_dir_all(dir).map_err(|e| Fault::file("make", dir, &e))?;
        let config = std::fs::read_to_string(dir.join("amtsweg.toml")).unwrap_or_default();
        if config.starts_with(MARK) {
            return Ok(());
        }
        // Without the mark: empty, or a first run that was broken off.
        let entries = std::fs::read_dir(dir).map_err(|e| Fault::file("read", dir, &e))?;
        for entry in entries {
            let name = entry.map_err(|e| Fault::file("read", dir, &e))?.file_name();
            if !BEFORE_CONFIG.iter().any(|n| name == *n) {
                return Err(Fault::said(format!(
                    "{} holds {} and is no demo's folder; name an empty or new one with --dir",
                    dir.display(),
                    name.to_string_lossy()
                )));
            }
        }
        Ok(())
    }

    /// Takes the folder for this process, until the file is dropped: two demos would move each
    /// other's push URLs.
    ///
    /// # Errors
    /// When another demo runs there.
    pub fn lock(dir: &Path) -> Result<File, Fault> {
        let path = dir.join(LOCK);
        let file = File::options().create(true).append(true).open(&path);
        let file = file.map_err(|e| Fault::file("write", &path, &e))?;
        match file.try_lock() {
            Ok(()) => Ok(file),
            Err(TryLockError::WouldBlock) => Err(Fault::said(format!(
                "another demo runs in {}; stop it, or name another folder with --dir",
                dir.display()
            ))),
            Err(TryLockError::Error(e)) => Err(Fault::file("lock", &path, &e)),
        }
    }

    /// The port that push endpoints of an existing demo lead to.
    #[must_use]
    pub fn port_of(dir: &Path) -> Option<u16> {
        let text = std::fs::read_to_string(dir.join("directory/endpoints.toml")).ok()?;
        push_base(&text)?.strip_prefix(BASE)?.strip_suffix(PATH)?.parse().ok()
    }

    /// A file or folder of the demo.
    #[must_use]
    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    /// The PKI's folder.
    #[must_use]
    pub fn pki(&self) -> PathBuf {
        self.path("pki")
    }

    /// The configuration's file.
    #[must_use]
    pub fn config_file(&self) -> PathBuf {
        self.path("amtsweg.toml")
    }

    /// Writes the sample directory, or moves the push URLs of the one that is there.
    fn directory(&self, port: u16) -> Result<(), Fault> {
        let to = format!("{BASE}{port}{PATH}");
        let folder = self.path("directory");
        let file = folder.join("endpoints.toml");
        if !file.exists() {
            let mut files = Files::embedded();
            // Short pauses, so that the demo shows its repeats while somebody watches.
            files.endpoints = files.endpoints.replace(
                &format!("url = \"{PUSH_BASE}"),
                &format!("backoff_min = \"100ms\"\nbackoff_max = \"1s\"\nurl = \"{PUSH_BASE}"),
            );
            // A lease that nobody ended must not hold up the next run for long.
            files.endpoints = files.endpoints.replace("lease = \"10m\"", "lease = \"1m\"");
            let files = files.with_push_base(&to);
            return files.write_to(&folder).map_err(|e| Fault::file("write", &folder, &e));
        }
        let text = std::fs::read_to_string(&file).map_err(|e| Fault::file("read", &file, &e))?;
        match push_base(&text) {
            Some(from) if from != to => write_new(&file, text.replace(&from, &to).as_bytes(), false, true),
            _ => Ok(()),
        }
    }
}

const BASE: &str = "https://localhost:";
const PATH: &str = "/amtsweg";

/// The beginning of the first push URL that leads to this machine.
fn push_base(endpoints: &str) -> Option<String> {
    let from = endpoints.find(BASE)?;
    let rest = endpoints.get(from..)?;
    let end = rest.find(PATH)? + PATH.len();
    let base = rest.get(..end)?;
    let port = base.strip_prefix(BASE)?.strip_suffix(PATH)?;
    port.parse::<u16>().ok().map(|_| base.to_owned())
}

/// The demo's configuration, for this directory's authorities.
fn config_text(directory: &Directory) -> String {
    let (pushed, pulling) = identifiers(directory);
    let mut text = String::from(
        r#"# Made by `amtsweg demo` (this line marks its folder); yours to change. All keys are described in deploy/amtsweg.toml.

[gateway]
name = "demo"
identifier = "kop:06999999"
data = "data"

[listen]
address = "127.0.0.1:8443"
operators = "127.0.0.1:9443"

[tls]
certificate = "pki/server.pem"
key = "pki/server.key"
client_ca = "pki/ca.pem"

[signing]
certificate = "pki/gateway.pem"
key = "pki/gateway.key"

[trust]
anchors = "pki/ca.pem"
crls = "pki/ca.crl.pem"

[directory]
folder = "directory"

[delivery]
# The sample authority listens on this machine.
allow_private = true

[store]
min_free = "64 MiB"
"#,
    );
    let author = AUTHOR.to_owned();
    account(&mut text, "portal", "portal", &[author]);
    text.push_str("[account.quota]\nin_flight = 256\nmessages_per_minute = 600000\n");
    account(&mut text, "authority", "authority", &pulling);
    account(&mut text, "authority-push", "authority", &pushed);
    account(&mut text, "operator", "operator", &[]);
    text
}

fn account(text: &mut String, name: &str, role: &str, identifiers: &[String]) {
    // Writing to a String cannot fail.
    let _ = write!(
        text,
        "\n[[account]]\nname = \"{name}\"\ncertificate = \"pki/{name}.pem\"\nroles = [\"{role}\"]\n"
    );
    if !identifiers.is_empty() {
        let list: Vec<String> = identifiers.iter().map(|i| format!("    \"{i}\",\n")).collect();
        let _ = write!(text, "identifiers = [\n{}]\n", list.concat());
    }
}

/// Identifiers of the authorities that are pushed to, and of those that pull.
fn identifiers(directory: &Directory) -> (Vec<String>, Vec<String>) {
    let mut ways = (Vec::new(), Vec::new());
    for authority in directory.authorities() {
        let endpoint = authority.endpoint.as_ref().and_then(|id| directory.endpoint(id));
        let list = match endpoint.map(|e| &e.transport) {
            Some(Transport::Push { .. }) => &mut ways.0,
            Some(Transport::Mailbox { .. }) => &mut ways.1,
            None => continue,
        };
        list.extend(authority.identifiers.iter().map(Identifier::to_string));
    }
    ways
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_made_once_kept_and_moved_to_another_port() {
        let dir = tempfile::tempdir().unwrap();
        let demo = dir.path().join("demo");
        Folder::check(&demo).unwrap();
        let lock = Folder::lock(&demo).unwrap();
        assert!(Folder::lock(&demo).unwrap_err().to_string().contains("another demo"));
        drop(lock);
        assert!(Folder::lock(&demo).is_ok());
        assert_eq!(Folder::port_of(&demo), None);
        let folder = Folder::prepare(&demo, 4711).unwrap();
        assert_eq!(Folder::port_of(&demo), Some(4711));
        let mine = format!("{MARK}\n# mine");
        std::fs::write(folder.config_file(), &mine).unwrap();
        std::fs::write(demo.join("notes.txt"), "kept").unwrap();
        let ca = std::fs::read(folder.pki().join("ca.pem")).unwrap();
        Folder::check(&demo).unwrap();
        let folder = Folder::prepare(&demo, 815).unwrap();
        assert_eq!(Folder::port_of(&demo), Some(815));
        assert_eq!(std::fs::read_to_string(folder.config_file()).unwrap(), mine);
        assert_eq!(std::fs::read(folder.pki().join("ca.pem")).unwrap(), ca);
        let text = std::fs::read_to_string(folder.path("directory/endpoints.toml")).unwrap();
        assert!(!text.contains("4711") && !text.contains(".example"), "all URLs moved");
        assert!(text.contains("backoff_min"));
    }

    #[test]
    fn somebody_elses_folder_is_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("diary.txt"), "x").unwrap();
        assert!(Folder::check(dir.path()).unwrap_err().to_string().contains("diary.txt"));
        // Also when it is a gateway's: a demo must not start in the middle of real messages.
        let real = tempfile::tempdir().unwrap();
        std::fs::write(real.path().join("amtsweg.toml"), "[gateway]").unwrap();
        assert!(Folder::check(real.path()).is_err());
    }
}

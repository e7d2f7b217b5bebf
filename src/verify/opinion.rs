//! A second opinion: xmlsec1, an independent implementation, verifies an accepted message once more.
//! It runs as a process of its own with bounded time and memory, its arguments are fixed, and it gets
//! the message as a file. It fetches nothing: references within the document alone are enabled, and
//! an accepted message has no others and no DTD.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::signature::properties::XADES;
use crate::domain::Coverage;
use crate::pem;

/// How often a running process is looked at.
const LOOK: Duration = Duration::from_millis(10);
/// Documents beyond it are not asked about: a parser of its own limits would say no for another reason.
pub const LARGEST: u64 = 8 << 20;
/// Methods that xmlsec1 knows in newer versions alone.
const NEWER: [&str; 3] = ["-rsa-MGF1", "#rsa-pss", "#eddsa-"];

/// Whom to ask, and within which bounds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asking {
    /// xmlsec1.
    pub program: PathBuf,
    /// PEM file or folder of anchors.
    pub anchors: PathBuf,
    /// Where its files are put for as long as it runs.
    pub folder: PathBuf,
    /// For one message.
    pub timeout: Duration,
    /// Octets of memory (address space) for one message.
    pub memory: u64,
}

/// The root element of a message.
#[derive(Clone, Copy, Debug)]
pub struct Root<'r> {
    /// Its namespace; empty: none.
    pub namespace: &'r str,
    /// Its local name.
    pub local: &'r str,
}

/// What it said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Opinion {
    /// The signature is good.
    Agrees,
    /// It is not.
    Disagrees,
    /// It could not be asked, or did not answer: why.
    Unknown(String),
}

/// Whether a message with this coverage and size can be asked about.
#[must_use]
pub fn can_be_asked(coverage: Option<&Coverage>, octets: u64) -> bool {
    let known = |uri: &str| !NEWER.iter().any(|newer| uri.contains(newer));
    octets <= LARGEST && coverage.is_some_and(|coverage| coverage.algorithms().all(known))
}

impl Asking {
    /// Asks about a message. Blocking, for as long as [`Asking::timeout`].
    #[must_use]
    pub fn ask(&self, document: &[u8], root: Root<'_>) -> Opinion {
        let place = self.folder.join(uuid::Uuid::new_v4().to_string());
        let answer = self.ask_in(&place, document, root).unwrap_or_else(Opinion::Unknown);
        let _ = std::fs::remove_dir_all(&place);
        answer
    }

    fn ask_in(&self, place: &Path, document: &[u8], root: Root<'_>) -> Result<Opinion, String> {
        std::fs::create_dir_all(place).map_err(|error| format!("{}: {error}", place.display()))?;
        let file = place.join("message.xml");
        write(&file, document)?;
        let mut command = self.command();
        command.args(arguments(root));
        for anchor in self.anchors(place)? {
            command.arg("--trusted-pem").arg(anchor);
        }
        command.arg(&file);
        self.wait(command)
    }

    /// The program under a shell that bounds its memory and its time on the processor.
    fn command(&self) -> Command {
        const BOUNDED: &str =
            "ulimit -v \"$1\" && ulimit -t \"$2\" && ulimit -c 0 || exit 125; shift 2; exec \"$@\"";
        let mut command = Command::new("/bin/sh");
        command.env_clear().current_dir("/").args(["-c", BOUNDED, "sh"]);
        command.arg((self.memory / 1024).to_string()).arg((self.timeout.as_secs() + 1).to_string());
        command.arg(&self.program);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        command
    }

    /// Each anchor as a file of its own: xmlsec1 reads the first certificate of a file.
    fn anchors(&self, place: &Path) -> Result<Vec<PathBuf>, String> {
        let mut files = vec![self.anchors.clone()];
        if self.anchors.is_dir() {
            let entries = std::fs::read_dir(&self.anchors).map_err(|error| error.to_string())?;
            let ending = |path: &PathBuf| {
                path.extension().is_some_and(|ending| ending == "pem" || ending == "crt" || ending == "cer")
            };
            files = entries.filter_map(|entry| Some(entry.ok()?.path())).filter(ending).collect();
        }
        let mut written = Vec::new();
        // A folder may hold PEM files of another kind.
        for der in files.iter().filter_map(|file| pem::certificates(file).ok()).flatten() {
            let path = place.join(format!("anchor-{}.pem", written.len()));
            let text = STANDARD.encode(&der);
            write(
                &path,
                format!("-----BEGIN CERTIFICATE-----\n{text}\n-----END CERTIFICATE-----\n").as_bytes(),
            )?;
            written.push(path);
        }
        if written.is_empty() { Err("no anchor can be read".to_owned()) } else { Ok(written) }
    }

    fn wait(&self, mut command: Command) -> Result<Opinion, String> {
        let began = Instant::now();
        let mut child = command.spawn().map_err(|error| format!("it does not start: {error}"))?;
        loop {
            match child.try_wait() {
                Ok(Some(status)) => return judged(status.code()),
                Ok(None) if began.elapsed() < self.timeout => std::thread::sleep(LOOK),
                Ok(None) => {
                    let _ = child.kill();
                    let _ = child.wait();
                    return Err(format!("no answer within {:?}", self.timeout));
                }
                Err(error) => return Err(error.to_string()),
            }
        }
    }
}

/// What an exit code says.
fn judged(code: Option<i32>) -> Result<Opinion, String> {
    match code {
        Some(0) => Ok(Opinion::Agrees),
        Some(125) => Err("its memory and time can't be bounded".to_owned()),
        Some(126 | 127) => Err("the program can't be run".to_owned()),
        Some(_) => Ok(Opinion::Disagrees),
        None => Err("it was ended by a signal: out of time or memory".to_owned()),
    }
}

/// The fixed arguments, and which attributes are ids of what.
fn arguments(root: Root<'_>) -> Vec<String> {
    let root = match root.namespace {
        "" => root.local.to_owned(),
        namespace => format!("{namespace}:{}", root.local),
    };
    let mut arguments: Vec<String> =
        ["--verify", "--enabled-reference-uris", "empty,same-doc", "--enabled-key-data", "x509"]
            .map(str::to_owned)
            .into();
    for attribute in ["Id", "ID", "id"] {
        arguments.extend([format!("--id-attr:{attribute}"), root.clone()]);
    }
    arguments.extend(["--id-attr:Id".to_owned(), format!("{XADES}:SignedProperties")]);
    arguments
}

fn write(path: &Path, octets: &[u8]) -> Result<(), String> {
    let file = std::fs::File::create_new(path);
    file.and_then(|mut file| file.write_all(octets)).map_err(|error| format!("{}: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::super::tests::{NOW, World};
    use super::*;
    use crate::verify::sign::{Form, Profile};
    use crate::verify::testkit::Key;

    fn asking(folder: &Path, program: &str, timeout: Duration) -> Asking {
        Asking {
            program: program.into(),
            anchors: folder.join("anchor.pem"),
            folder: folder.join("opinions"),
            timeout,
            memory: 512 << 20,
        }
    }

    #[test]
    fn xmlsec1_agrees_with_what_is_good_and_sees_what_is_not() {
        let known = Command::new("xmlsec1").arg("--version").stdout(Stdio::null()).status();
        if known.is_err() {
            println!("skipped: xmlsec1 not found");
            return;
        }
        let world = World::new(Key::Rsa2048);
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("anchor.pem"), &world.pki.anchor).unwrap();
        let asking = asking(dir.path(), "xmlsec1", Duration::from_secs(30));
        let asking = Asking { program: "/usr/bin/xmlsec1".into(), ..asking };
        let root = Root { namespace: "urn:r", local: "r" };
        let document = "<r xmlns='urn:r' Id='a'><b>1</b></r>";
        for form in [
            Form::default(),
            Form { by_id: true, ..Form::default() },
            Form { xades: Some(NOW), ..Form::default() },
        ] {
            let signed = world.signer.sign_as(document.as_bytes(), Profile::default(), form).unwrap();
            assert_eq!(asking.ask(&signed, root), Opinion::Agrees, "{form:?}");
            let changed = String::from_utf8(signed).unwrap().replace("<b>1", "<b>2");
            assert_eq!(asking.ask(changed.as_bytes(), root), Opinion::Disagrees, "{form:?}");
        }
        assert_eq!(std::fs::read_dir(&asking.folder).unwrap().count(), 0, "nothing is left behind");
    }

    #[test]
    fn who_does_not_answer_has_no_opinion() {
        let world = World::new(Key::P256);
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("anchor.pem"), &world.pki.anchor).unwrap();
        let script = dir.path().join("program");
        let say = |what: &str, timeout: u64| {
            std::fs::write(&script, format!("#!/bin/sh\n{what}\n")).unwrap();
            use std::os::unix::fs::PermissionsExt as _;
            std::fs::set_permissions(&script, std::fs::Permissions::from_mode(0o755)).unwrap();
            let program = script.to_str().unwrap();
            asking(dir.path(), program, Duration::from_millis(timeout))
                .ask(b"<r/>", Root { namespace: "", local: "r" })
        };
        assert_eq!(say("exit 0", 30_000), Opinion::Agrees);
        assert_eq!(say("exit 1", 30_000), Opinion::Disagrees);
        for (what, timeout, part) in [
            ("exec sleep 60", 100, "no answer"),
            ("kill -9 $$", 30_000, "signal"),
            ("exit 127", 30_000, "run"),
        ] {
            match say(what, timeout) {
                Opinion::Unknown(why) => assert!(why.contains(part), "{why}"),
                other => panic!("{what}: {other:?}"),
            }
        }
        let missing = asking(dir.path(), "/nonexistent", Duration::from_secs(30));
        assert!(matches!(missing.ask(b"<r/>", Root { namespace: "", local: "r" }), Opinion::Unknown(_)));
    }
}

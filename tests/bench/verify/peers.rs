//! What others take to verify the same document: libxmlsec1 with libxml2, the JDK, signxml with lxml, each in a
//! process of its own that reads anchor and schema once, is warm when it counts, and takes its own time; and
//! bergshamra in this process, without a schema, since it has no validator. The best of many copies counts.
//!
//! A peer that is not installed is left out, and a line says so. `AMTSWEG_PYTHON` names the interpreter that
//! has signxml.

use std::hint::black_box;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;

/// The names in the order of the times.
pub const NAMES: [&str; 4] = ["libxml2 + libxmlsec1", "JDK", "signxml + lxml", "bergshamra, no schema"];

/// The programs that are there.
pub struct Peers {
    xmlsec: Option<PathBuf>,
    /// Where the JDK's class is.
    java: Option<PathBuf>,
    python: Option<String>,
}

impl Peers {
    /// Compiles the helper programs into a folder.
    pub fn new(folder: &Path) -> Self {
        let peers = Self { xmlsec: compiled(folder), java: java(folder), python: python() };
        let missing = [
            (
                peers.xmlsec.is_none(),
                "libxmlsec1: cc, pkg-config and its headers (libxmlsec1-dev, libxml2-dev)",
            ),
            (peers.java.is_none(), "the JDK: javac"),
            (peers.python.is_none(), "signxml: an interpreter in AMTSWEG_PYTHON that has it"),
        ];
        for (_, what) in missing.iter().filter(|(missing, _)| *missing) {
            println!("left out, because not installed: {what}");
        }
        peers
    }

    /// The times for a document of which many copies are verified, in the order of [`NAMES`].
    pub fn measure(
        &self,
        signed: &Path,
        schema: &Path,
        anchor: &Path,
        copies: usize,
    ) -> [Option<Duration>; 4] {
        let xmlsec = self.xmlsec.as_ref().map(Command::new);
        let java = self.java.as_ref().map(|classes| {
            let mut java = Command::new("java");
            java.arg("-cp").arg(classes).arg("Peer");
            java
        });
        let python = self.python.as_ref().map(|python| {
            let mut command = Command::new(python);
            command.arg(source("peer.py"));
            command
        });
        let [xmlsec, java, python] = [xmlsec, java, python].map(|command| {
            let mut command = command?;
            let output = command
                .args([signed, schema, anchor])
                .arg(copies.to_string())
                .stderr(Stdio::inherit())
                .output()
                .unwrap();
            assert!(output.status.success(), "{command:?} refuses the document");
            let nanoseconds = String::from_utf8(output.stdout).unwrap().trim().parse().unwrap();
            Some(Duration::from_nanos(nanoseconds))
        });
        [xmlsec, java, python, Some(bergshamra(signed, anchor, copies))]
    }
}

fn source(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/bench/verify/peers").join(name)
}

fn compiled(folder: &Path) -> Option<PathBuf> {
    let flags = Command::new("pkg-config").args(["--cflags", "--libs", "xmlsec1"]).output().ok()?;
    let flags = String::from_utf8(flags.stdout).ok()?;
    let program = folder.join("xmlsec-peer");
    let mut cc = Command::new("cc");
    cc.arg("-O2").arg(source("xmlsec.c")).args(flags.split_whitespace()).arg("-o").arg(&program);
    cc.stderr(Stdio::null()).status().ok()?.success().then_some(program)
}

fn java(folder: &Path) -> Option<PathBuf> {
    let status = Command::new("javac").arg("-d").arg(folder).arg(source("Peer.java")).status();
    status.ok()?.success().then(|| folder.to_path_buf())
}

fn python() -> Option<String> {
    let python = std::env::var("AMTSWEG_PYTHON").unwrap_or_else(|_| "python3".to_owned());
    let mut command = Command::new(&python);
    command.args(["-c", "import signxml, lxml"]).stderr(Stdio::null());
    command.status().ok()?.success().then_some(python)
}

fn bergshamra(signed: &Path, anchor: &Path, copies: usize) -> Duration {
    let text = std::fs::read_to_string(signed).unwrap();
    let mut keys = bergshamra::KeysManager::new();
    keys.add_trusted_cert(CertificateDer::from_pem_file(anchor).unwrap().to_vec());
    let context = bergshamra::DsigContext::new_permissive(keys).with_enabled_key_data_x509(true);
    let times = (0..copies).map(|_| {
        let begin = Instant::now();
        let verdict = black_box(bergshamra::verify(&context, &text));
        let took = begin.elapsed();
        assert!(verdict.is_ok_and(|verdict| verdict.is_valid()), "bergshamra refuses the document");
        took
    });
    times.min().unwrap_or_default()
}

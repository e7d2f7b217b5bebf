//! The gateway's gRPC interface as the commands use it: one mutual-TLS connection, and refusals
//! told with code, place, explanation and the page to read.

use std::error::Error;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use prost::Message;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use serde_json::{Value, json};
use tonic::Status;
use tonic::transport::{Channel, Endpoint};

use super::input::read_small;
use super::output::{note, place, printable, say_json};
use super::{Done, Ended, Fault};
use crate::proto::Problem;

/// The metadata key under which a refusal's [`Problem`] comes.
const PROBLEM: &str = "amtsweg-problem-bin";

/// Where the gateway is and who calls (portals and authorities).
#[derive(Clone, Debug, Args)]
pub struct Connection {
    /// The gateway.
    #[arg(long, env = "AMTSWEG_URL", default_value = "https://localhost:8443")]
    pub url: String,
    /// Anchors for the gateway's certificate (PEM).
    #[arg(long, env = "AMTSWEG_CA")]
    pub ca: PathBuf,
    /// Your client certificate (PEM).
    #[arg(long, env = "AMTSWEG_CERT")]
    pub cert: PathBuf,
    /// Its private key (PEM).
    #[arg(long, env = "AMTSWEG_KEY")]
    pub key: PathBuf,
}

/// Where the operators' port is and who calls.
#[derive(Clone, Debug, Args)]
pub struct OperatorConnection {
    /// The operators' port.
    #[arg(long, env = "AMTSWEG_OPERATOR_URL", default_value = "https://localhost:9443")]
    pub url: String,
    /// Anchors for the gateway's certificate (PEM).
    #[arg(long, env = "AMTSWEG_CA")]
    pub ca: PathBuf,
    /// The operator's client certificate (PEM).
    #[arg(long, env = "AMTSWEG_OPERATOR_CERT")]
    pub cert: PathBuf,
    /// Its private key (PEM).
    #[arg(long, env = "AMTSWEG_OPERATOR_KEY")]
    pub key: PathBuf,
}

impl OperatorConnection {
    /// The same as a plain connection.
    #[must_use]
    pub fn plain(&self) -> Connection {
        Connection {
            url: self.url.clone(),
            ca: self.ca.clone(),
            cert: self.cert.clone(),
            key: self.key.clone(),
        }
    }
}

impl Connection {
    /// Connects with mutual TLS.
    ///
    /// # Errors
    /// When the files can't be used, or the gateway can't be reached or is not who it should be.
    pub async fn open(&self) -> Result<Channel, Fault> {
        let endpoint = Endpoint::from_shared(self.url.clone())
            .ok()
            .filter(|e| e.uri().scheme_str() == Some("https") && e.uri().host().is_some())
            .ok_or_else(|| {
                Fault::said(format!("{:?} is no address of a gateway; write https://host:port", self.url))
            })?
            .user_agent(concat!("amtsweg/", env!("CARGO_PKG_VERSION")))
            .map_err(|e| Fault::said(e.to_string()))?
            .connect_timeout(Duration::from_secs(10))
            // Streams may take long; a dead peer shows by its missing answers to pings.
            .http2_keep_alive_interval(Duration::from_secs(30))
            .keep_alive_timeout(Duration::from_secs(20));
        let connector = hyper_rustls::HttpsConnectorBuilder::new()
            .with_tls_config(tls(&self.ca, &self.cert, &self.key)?)
            .https_only()
            .enable_http2()
            .build();
        endpoint
            .connect_with_connector(connector)
            .await
            .map_err(|e| Fault::said(unreachable_because(&self.url, &e)))
    }
}

/// The client side of mutual TLS from PEM files.
///
/// # Errors
/// Which file can't be used and why.
pub fn tls(ca: &Path, cert: &Path, key: &Path) -> Result<rustls::ClientConfig, Fault> {
    let mut roots = rustls::RootCertStore::empty();
    for anchor in certificates(ca)? {
        roots.add(anchor).map_err(|e| Fault::said(format!("cannot use {}: {e}", ca.display())))?;
    }
    let private = PrivateKeyDer::from_pem_slice(&read_small(key)?)
        .map_err(|e| Fault::said(format!("{} holds no private key in PEM: {e}", key.display())))?;
    let provider = std::sync::Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|e| Fault::said(format!("TLS: {e}")))?
        .with_root_certificates(roots)
        .with_client_auth_cert(certificates(cert)?, private)
        .map_err(|e| {
            let why = match e {
                rustls::Error::InconsistentKeys(_) => "this is not the key of this certificate".to_owned(),
                other => other.to_string(),
            };
            Fault::said(format!("{} and {} do not fit together: {why}", cert.display(), key.display()))
        })
}

/// The certificates of a PEM file; at least one.
///
/// # Errors
/// When there is none, or the file can't be read.
pub fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, Fault> {
    let octets = read_small(path)?;
    let found: Vec<_> = CertificateDer::pem_slice_iter(&octets)
        .collect::<Result<_, _>>()
        .map_err(|e| Fault::said(format!("{} is not PEM: {e}", path.display())))?;
    if found.is_empty() {
        return Err(Fault::said(format!("{} holds no certificate in PEM", path.display())));
    }
    Ok(found)
}

/// Tells the user what the gateway answered instead of doing it.
///
/// # Errors
/// When it is no refusal but a fault on the way.
pub fn refused(status: &Status, json: bool) -> Done {
    let Some(problem) = problem_of(status) else {
        return Err(Fault::said(no_refusal(status)));
    };
    if json {
        say_json(&problem_json(&problem))?;
    } else {
        problem_lines(&problem).iter().for_each(note);
    }
    Ok(Ended::Refused)
}

/// The refusal that a status carries, if it is one of the gateway's.
#[must_use]
pub fn problem_of(status: &Status) -> Option<Problem> {
    let octets = status.metadata().get_bin(PROBLEM)?.to_bytes().ok()?;
    Problem::decode(octets).ok()
}

/// A refusal in lines for people.
#[must_use]
pub fn problem_lines(problem: &Problem) -> Vec<String> {
    let mut lines = vec![printable(&format!("refused: {} {}", problem.code, problem.reason))];
    if problem.line > 0 {
        lines.push(printable(&place(problem.line, problem.column, &problem.path)));
    }
    lines.extend(problem.explanation.iter().map(|l| printable(&format!("  {l}"))));
    lines.push(printable(&format!("  more about it: deploy/errors/{}.md", problem.code)));
    lines
}

/// A refusal as JSON.
#[must_use]
pub fn problem_json(problem: &Problem) -> Value {
    json!({
        "verdict": "refused",
        "code": problem.code, "reason": problem.reason,
        "line": problem.line, "column": problem.column, "path": problem.path,
        "explanation": problem.explanation,
        "xoev": problem.xoev, "xta": problem.xta,
        "page": format!("deploy/errors/{}.md", problem.code),
    })
}

/// A sentence for a status that is no refusal.
fn no_refusal(status: &Status) -> String {
    match status.source() {
        Some(source) => {
            let why = causes(source);
            format!("the connection to the gateway broke: {why}{}", hint(&why))
        }
        None => format!(
            "the gateway did not do it: {}; is --url the right port (operators' commands go to the operators' port)?",
            printable(if status.message().is_empty() {
                status.code().description()
            } else {
                status.message()
            })
        ),
    }
}

fn unreachable_because(url: &str, error: &(dyn Error + 'static)) -> String {
    let why = causes(error);
    format!("cannot reach the gateway at {url}: {why}{}", hint(&why))
}

/// The innermost causes, each said once.
fn causes(error: &(dyn Error + 'static)) -> String {
    let mut said: Vec<String> = Vec::new();
    let mut next = Some(error);
    while let Some(cause) = next {
        let text = cause.to_string();
        if !said.iter().any(|s| s.contains(&text)) {
            said.push(text);
        }
        next = cause.source();
    }
    // "transport error" and its like say nothing once there is a cause.
    if said.len() > 1 {
        said.remove(0);
    }
    printable(&said.join(": "))
}

/// What to do about a fault on the way.
fn hint(why: &str) -> &'static str {
    let why = why.to_ascii_lowercase();
    if why.contains("refused") || why.contains("timed out") || why.contains("dns") || why.contains("lookup") {
        "; is it running there (amtsweg serve, amtsweg demo), and is --url right?"
    } else if why.contains("alert") || why.contains("certificaterequired") {
        "; the gateway does not take this client certificate: is it from the CA that the gateway trusts?"
    } else if why.contains("certificate") || why.contains("unknownissuer") {
        "; the gateway's certificate does not fit --ca or the host name in --url"
    } else if why.contains("eof") || why.contains("corrupt") {
        "; what answers there does not speak TLS: is --url the gateway's address and port?"
    } else {
        ""
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_told_with_place_and_page() {
        let problem = Problem {
            code: "AW-0111".into(),
            reason: "not valid".into(),
            line: 3,
            column: 7,
            path: "/a/b".into(),
            explanation: vec!["because".into()],
            ..Problem::default()
        };
        let mut status = Status::invalid_argument("AW-0111: not valid");
        let value = tonic::metadata::MetadataValue::from_bytes(&problem.encode_to_vec());
        status.metadata_mut().insert_bin(PROBLEM, value);
        let read = problem_of(&status).unwrap();
        assert_eq!(
            problem_lines(&read),
            [
                "refused: AW-0111 not valid",
                "  at line 3, column 7: /a/b",
                "  because",
                "  more about it: deploy/errors/AW-0111.md"
            ]
        );
        assert!(problem_of(&Status::internal("?")).is_none());
        assert!(matches!(refused(&Status::unimplemented("?"), false), Err(Fault::Said(_))));
    }

    #[tokio::test]
    async fn an_unreachable_gateway_and_bad_addresses_are_named() {
        let dir = tempfile::tempdir().unwrap();
        super::super::pki::init(dir.path()).unwrap();
        let mut to = Connection {
            url: "https://localhost:1".into(),
            ca: dir.path().join("ca.pem"),
            cert: dir.path().join("portal.pem"),
            key: dir.path().join("portal.key"),
        };
        let said = to.open().await.unwrap_err().to_string();
        assert!(said.contains("https://localhost:1") && said.contains("is it running"), "{said}");
        to.url = "http://localhost:1".into();
        assert!(to.open().await.unwrap_err().to_string().contains("https://host:port"));
        to.url = "https://localhost:1".into();
        to.key = dir.path().join("authority.key");
        let said = to.open().await.unwrap_err().to_string();
        assert!(said.contains("do not fit together") && !said.contains("KeyMismatch"), "{said}");
        assert!(hint("tls handshake eof").contains("--url"));
        to.ca = dir.path().join("ca.key");
        assert!(to.open().await.unwrap_err().to_string().contains("holds no certificate"));
    }
}

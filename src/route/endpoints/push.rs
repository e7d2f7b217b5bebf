//! What push endpoints say besides: protocol, URLs, files.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::{DAY, FILE, HOUR, Reader, SECOND, shown};
use crate::domain::{Identifier, Protocol, Transport, XtaServer};

/// Where XTA servers made with Apache CXF have their ports, below the base URL.
const PORTS: &str = "/services/XTAService";
/// Keys that only XTA has.
const XTA_KEYS: [&str; 4] = ["send_url", "management_url", "author", "reader"];

/// The word at `protocol`.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Spoken {
    Https,
    Grpc,
    Xta,
}

impl Reader<'_, '_> {
    pub(super) fn push(&mut self) -> Option<Transport> {
        let spoken = match self.string("protocol") {
            None | Some(("https", _)) => Some(Spoken::Https),
            Some(("grpc", _)) => Some(Spoken::Grpc),
            Some(("xta", _)) => Some(Spoken::Xta),
            Some((_, line)) => self.fault(line, "protocol is \"https\", \"grpc\" or \"xta\""),
        };
        let place = match spoken {
            Some(Spoken::Xta) => self.xta(),
            other => {
                self.only_xta();
                let protocol = if other == Some(Spoken::Grpc) { Protocol::Grpc } else { Protocol::Https };
                self.url("url", other == Some(Spoken::Grpc)).map(|url| (url, protocol))
            }
        };
        let ca = self.file("ca");
        let timeout = self.duration("timeout", 30 * SECOND, SECOND, HOUR);
        let concurrency = self.count("concurrency", 8, 1_024);
        let smallest = Duration::from_millis(10);
        let backoff_min = self.duration("backoff_min", 5 * SECOND, smallest, DAY);
        let backoff_max = self.duration("backoff_max", HOUR, smallest, 7 * DAY);
        let (backoff_min, backoff_max) = (backoff_min?, backoff_max?);
        if backoff_min > backoff_max {
            let line = self.line_of_key("backoff_max");
            return self
                .fault(line, "backoff_max must not be shorter than backoff_min (5s and 1h when not given)");
        }
        let (url, protocol) = place?;
        spoken?;
        Some(Transport::Push {
            protocol,
            url,
            ca: ca?,
            timeout: timeout?,
            concurrency: concurrency?,
            backoff_min,
            backoff_max,
        })
    }

    /// The port that takes messages, and the rest of an XTA server.
    fn xta(&mut self) -> Option<(String, Protocol)> {
        let author = self.identifier("author");
        let reader = self.identifier("reader");
        let own = ["send_url", "management_url"].iter().filter(|key| self.keys.contains_key(**key)).count();
        let (send, management) = match (self.keys.contains_key("url"), own) {
            (true, 0) => {
                let base = self.url("url", false)?;
                let base = base.trim_end_matches('/');
                (format!("{base}{PORTS}/SendXtaPort"), format!("{base}{PORTS}/ManagementPort"))
            }
            (false, 2) => (self.url("send_url", false)?, self.url("management_url", false)?),
            _ => {
                let line = self.line;
                return self.fault(
                    line,
                    "an XTA server has url (its base, https://host:port), or instead send_url and management_url",
                );
            }
        };
        let server = XtaServer { management, author: author?, reader: reader? };
        Some((send, Protocol::Xta(Box::new(server))))
    }

    /// An identifier; the outer `None` is a fault.
    fn identifier(&mut self, key: &str) -> Option<Option<Identifier>> {
        match self.string(key) {
            Some((text, line)) => self.faults.take(FILE, line, text.parse()).map(Some),
            None if self.keys.contains_key(key) => None,
            None => Some(None),
        }
    }

    /// Notes keys that mean nothing but for XTA.
    fn only_xta(&mut self) {
        for key in XTA_KEYS {
            if self.keys.contains_key(key) {
                let line = self.line_of_key(key);
                self.faults.add(FILE, line, format_args!("{key} is for protocol = \"xta\" alone; remove it"));
            }
        }
    }

    fn url(&mut self, key: &str, bare: bool) -> Option<String> {
        match self.string(key) {
            Some((url, line)) => {
                self.faults.take(FILE, line, checked_url(key, url, bare)).map(|()| url.to_owned())
            }
            None => self.missing(key, "\"https://host:port/path\""),
        }
    }

    /// A file: relative to the directory's folder, where it is known, and then it must be there. The outer
    /// `None` is a fault.
    fn file(&mut self, key: &str) -> Option<Option<PathBuf>> {
        let Some((text, line)) = self.string(key) else {
            return if self.keys.contains_key(key) { None } else { Some(None) };
        };
        if text.is_empty() {
            return self.fault(line, format!("{key} is empty; name a PEM file or leave the key out"));
        }
        let Some(folder) = self.folder else { return Some(Some(PathBuf::from(text))) };
        let path = folder.join(text);
        if path.is_file() {
            return Some(Some(path));
        }
        let shown = shown(text);
        self.fault(line, format!("the {key} file {shown:?} is not there; put it into the directory's folder"))
    }

    /// The certificate for which contents are encrypted: one, in a PEM file. Where no folder is known, it is
    /// not read. The outer `None` is a fault.
    pub(super) fn encryption(&mut self) -> Option<Option<Arc<[u8]>>> {
        let line = self.line_of_key("encryption");
        let path = match self.file("encryption")? {
            Some(path) if self.folder.is_some() => path,
            _ => return Some(None),
        };
        match crate::pem::certificates(&path) {
            Ok(all) => match all.as_slice() {
                [one] if x509_parser::parse_x509_certificate(one).is_ok() => {
                    Some(Some(Arc::from(one.as_ref())))
                }
                [_] => self.fault(line, "the encryption file holds no X.509 certificate"),
                _ => self.fault(
                    line,
                    "the encryption file holds several certificates; name the reader's own alone",
                ),
            },
            Err(words) => self.fault(line, format!("encryption: {words}")),
        }
    }
}

/// Only `https`, a host, no user, no query: a push URL is an address, nothing else. A bare one has no
/// path either.
fn checked_url(key: &str, url: &str, bare: bool) -> Result<(), String> {
    let parsed: http::Uri =
        url.parse().map_err(|_| format!("{key} is no URL; write https://host:port/path"))?;
    if parsed.scheme_str() != Some("https") {
        return Err(format!("{key} must begin with https://; messages never travel in the clear"));
    }
    let host = parsed.authority().filter(|at| !at.host().is_empty() && !at.as_str().contains('@'));
    if host.is_none() || url.contains('#') || parsed.query().is_some() {
        return Err(format!("{key} is https://host:port/path, without user, query and fragment"));
    }
    if bare && !matches!(parsed.path(), "" | "/") {
        return Err("the url of a gRPC endpoint has no path; write https://host:port".to_owned());
    }
    Ok(())
}

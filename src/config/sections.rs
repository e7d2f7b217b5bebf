//! The sections of the configuration, one function each: keys, bounds and defaults.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::keys::encryption;
use super::reader::Section;
use super::value::{
    KeyFile, There, boolean, count, duration, list, number, octets, one_or_more, parsed, text,
};
use super::{
    ConfiguredAccount, Delivery, Gateway, KeyPair, Limits, Listen, Log, LogFormat, Proof, Store, Tls,
    TrustFiles,
};
use crate::domain::{Account, AccountName, Digest, Identifier, Quota, Role};
use crate::store::Retention;
use crate::verify;
use crate::verify::trust::{Revocation, Unknown};

const SECOND: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_secs(3_600);
const MIB: u64 = 1 << 20;

pub(super) fn gateway(root: &mut Section<'_, '_>) -> Option<Gateway> {
    let mut s = root.section("gateway");
    let name = s.required("name", "a short name such as \"hessen\"", |value| {
        let name = text(value)?;
        // The name is part of every message id, which may have 100 characters (XTA 2.1.1).
        crate::domain::MessageId::new(name, uuid::Uuid::nil()).map_err(|_| {
            "must be a short name of at most 42 small letters, digits, - _ or . (it stands in message ids)"
                .to_owned()
        })?;
        Ok(name.to_owned())
    });
    let identifier = s.required("identifier", "prefix:key, e.g. \"kop:06411000\"", parsed::<Identifier>);
    let anything = s.at(There::Anything);
    let data = s.required("data", "the folder of the store, e.g. \"data\"", anything);
    let drain = s.or("drain", Duration::from_secs(30), duration(SECOND..=HOUR));
    s.end();
    Some(Gateway { name: name?, identifier: identifier?, data: data?, drain })
}

pub(super) fn listen(root: &mut Section<'_, '_>) -> Listen {
    let mut s = root.section("listen");
    let address = s.or("address", SocketAddr::from(([0, 0, 0, 0], 8443)), address);
    let operators = s.or("operators", SocketAddr::from(([127, 0, 0, 1], 9443)), self::address);
    if address == operators && address.port() != 0 {
        s.fault("operators", "is the same as listen.address: give the operators a port of their own");
    }
    s.end();
    Listen { address, operators }
}

fn address(value: &toml::de::DeValue<'_>) -> Result<SocketAddr, String> {
    text(value)?
        .parse()
        .map_err(|_| "must be an IP address and a port, e.g. \"0.0.0.0:8443\" or \"[::1]:9443\"".to_owned())
}

pub(super) fn tls(root: &mut Section<'_, '_>) -> Option<Tls> {
    let mut s = root.section("tls");
    let pair = key_pair(&mut s, "the server's");
    let (file, either) = (s.at(There::File), s.at(There::FileOrFolder));
    let client_ca = s.required("client_ca", "the PEM file of the clients' CAs", file);
    let crls = s.optional("crls", either);
    s.end();
    Some(Tls { pair: pair?, client_ca: client_ca?, crls })
}

pub(super) fn signing(root: &mut Section<'_, '_>) -> Option<KeyPair> {
    let mut s = root.section("signing");
    let pair = key_pair(&mut s, "the receipt signer's");
    s.end();
    pair
}

fn key_pair(s: &mut Section<'_, '_>, whose: &str) -> Option<KeyPair> {
    let file = s.at(There::File);
    let certificate =
        s.required("certificate", &format!("the PEM file of {whose} certificate and chain"), &file);
    let key = s.required("key", &format!("the PEM file of {whose} private key"), &file);
    Some(KeyPair { certificate: certificate?, key: KeyFile::new(key?) })
}

pub(super) fn trust(root: &mut Section<'_, '_>) -> Option<TrustFiles> {
    let mut s = root.section("trust");
    let either = s.at(There::FileOrFolder);
    let anchors = s.required("anchors", "the PEM file or folder of the signers' CAs", &either);
    let crls = s.optional("crls", &either);
    let revocation = Revocation {
        unknown: s.or("revocation_unknown", Unknown::Refuse, |value| match text(value)? {
            "refuse" => Ok(Unknown::Refuse),
            "mark" => Ok(Unknown::Mark),
            _ => Err("must be refuse or mark".to_owned()),
        }),
        max_age: s.optional("crl_max_age", duration(HOUR..=365 * 24 * HOUR)),
    };
    if crls.is_none() && (revocation != Revocation::default()) {
        s.fault("crls", "is missing: without revocation lists there is nothing to say about their age");
    }
    s.end();
    Some(TrustFiles { anchors: anchors?, crls, revocation })
}

pub(super) fn schemas(root: &mut Section<'_, '_>) -> Vec<PathBuf> {
    let mut s = root.section("schemas");
    let folder = s.at(There::Folder);
    let folders = s.or("folders", Vec::new(), list(folder));
    s.end();
    folders
}

pub(super) fn directory(root: &mut Section<'_, '_>) -> Option<PathBuf> {
    let mut s = root.section("directory");
    let folder = s.at(There::Folder);
    let folder = s.required("folder", "the folder of the directory's files", folder);
    s.end();
    folder
}

pub(super) fn limits(root: &mut Section<'_, '_>) -> Limits {
    let mut s = root.section("limits");
    let memory = octets(1_024..=1 << 32);
    let timeout = duration(Duration::from_millis(100)..=HOUR);
    let to_usize = |n: u64| usize::try_from(n).unwrap_or(usize::MAX);
    let document = verify::Limits {
        octets: to_usize(s.or("document", 16 * MIB, &memory)),
        depth: s.or("depth", 100, count(4..=1_000)),
        attributes: s.or("attributes", 64, count(1..=10_000)),
        name: s.or("names", 256, count(16..=65_536)),
        namespaces: s.or("namespaces", 64, count(4..=10_000)),
        elements: s.or("elements", 500_000, count(10..=100_000_000)),
        text: to_usize(s.or("text", 16 * MIB, &memory)),
        attachments: s.or("attachments", 100, count(0..=10_000)),
    };
    let limits = Limits {
        document,
        attachment: s.or("attachment", 256 * MIB, octets(1..=1 << 40)),
        message: s.or("message", 512 * MIB, octets(1_024..=1 << 40)),
        connections: s.or("connections", 1_024, count(1..=1_000_000)),
        requests: s.or("requests", 256, count(1..=100_000)),
        buffered: s.or("buffered", 256 * MIB, octets(MIB..=1 << 40)),
        handshake: s.or("handshake", 10 * SECOND, &timeout),
        header: s.or("header", 10 * SECOND, &timeout),
        body: s.or("body", 30 * SECOND, &timeout),
    };
    let whole = u64::try_from(limits.document.octets).unwrap_or(u64::MAX);
    if limits.message < whole {
        s.fault("message", "is less than limits.document: a message holds at least its document");
    }
    if limits.buffered < whole {
        s.fault("buffered", "is less than limits.document: not one document could be read");
    }
    s.end();
    limits
}

pub(super) fn delivery(root: &mut Section<'_, '_>, tls: Option<&Tls>) -> Option<Delivery> {
    let mut s = root.section("delivery");
    let file = s.at(There::File);
    let allow_private = s.or("allow_private", false, boolean);
    let ca = s.optional("ca", &file);
    let given = (s.has("certificate"), s.has("key"));
    let certificate = s.optional("certificate", &file);
    let key = s.optional("key", &file).map(KeyFile::new);
    if given.0 != given.1 {
        let lone = if given.0 { "key" } else { "certificate" };
        s.fault(
            lone,
            "is missing: certificate and key belong together (without both, those of [tls] are used)",
        );
    }
    s.end();
    let tls = tls?;
    let pair = match (certificate, key) {
        (Some(certificate), Some(key)) => KeyPair { certificate, key },
        _ => tls.pair.clone(),
    };
    Some(Delivery { allow_private, ca: ca.unwrap_or_else(|| tls.client_ca.clone()), pair })
}

pub(super) fn store(root: &mut Section<'_, '_>) -> Store {
    let mut s = root.section("store");
    let store = Store {
        min_free: s.or("min_free", 1_024 * MIB, octets(0..=1 << 50)),
        segment: s.or("segment", 64 * MIB, octets(MIB..=1 << 32)),
        cache: s.or("cache", 64 * MIB, octets(MIB..=1 << 40)),
        encryption: encryption(&mut s),
        retention: retention(&mut s),
    };
    s.end();
    store
}

fn retention(s: &mut Section<'_, '_>) -> Retention {
    let mut r = s.section("retention");
    let usual = Retention::default();
    let span = duration(HOUR..=100 * 366 * 24 * HOUR);
    let retention = Retention {
        closed: r.or("closed", usual.closed, &span),
        returned: r.or("returned", usual.returned, &span),
        metadata: r.or("metadata", usual.metadata, &span),
        ledger: r.or("ledger", usual.ledger, &span),
    };
    if retention.metadata < retention.closed.max(retention.returned) {
        r.fault("metadata", "is less than closed or returned: a record has to outlast its content");
    }
    r.end();
    retention
}

pub(super) fn proof(root: &mut Section<'_, '_>) -> Proof {
    let mut s = root.section("proof");
    let proof = Proof {
        every: s.or("every", 60 * SECOND, duration(SECOND..=HOUR)),
        events: s.or("events", 1_000, number(1..=100_000)),
    };
    s.end();
    proof
}

pub(super) fn log(root: &mut Section<'_, '_>) -> Log {
    let mut s = root.section("log");
    let level = s.or("level", "info".to_owned(), |value| {
        let level = text(value)?;
        let known = ["error", "warn", "info", "debug", "trace"];
        if known.contains(&level) {
            Ok(level.to_owned())
        } else {
            Err(format!("must be one of {}", known.join(", ")))
        }
    });
    let format = s.or("format", LogFormat::Json, |value| match text(value)? {
        "json" => Ok(LogFormat::Json),
        "text" => Ok(LogFormat::Text),
        _ => Err("must be json or text".to_owned()),
    });
    s.end();
    Log { level, format }
}

pub(super) fn accounts(root: &mut Section<'_, '_>, limits: &Limits) -> Vec<ConfiguredAccount> {
    let mut accounts = Vec::new();
    let mut names: HashMap<AccountName, usize> = HashMap::new();
    let mut owners: HashMap<Digest, AccountName> = HashMap::new();
    for (index, mut s) in root.sections("account").into_iter().enumerate() {
        let account = account(&mut s, limits);
        if let Some(account) = account {
            if let Some(first) = names.insert(account.account.name.clone(), index + 1) {
                s.fault("name", format!("is the name of account[{first}] too: give each its own"));
            }
            for fingerprint in &account.fingerprints {
                if let Some(other) = owners.insert(*fingerprint, account.account.name.clone()) {
                    let problem = format!(
                        "belongs to account {other} too: a certificate names one account, give each its own"
                    );
                    s.fault("certificate", problem);
                }
            }
            accounts.push(account);
        }
        s.end();
    }
    accounts
}

fn account(s: &mut Section<'_, '_>, limits: &Limits) -> Option<ConfiguredAccount> {
    let name = s.required("name", "the account's name, e.g. \"portal\"", parsed::<AccountName>);
    let file = s.at(There::File);
    let given = s.has("certificate") || s.has("fingerprint");
    let files = s.optional("certificate", one_or_more(file)).unwrap_or_default();
    let mut fingerprints = s.optional("fingerprint", one_or_more(fingerprint)).unwrap_or_default();
    if !given {
        s.fault("certificate", "is missing: write the client certificate's PEM file, or its fingerprint");
    }
    for path in &files {
        match first_certificate(path) {
            Ok(digest) => fingerprints.push(digest),
            Err(problem) => s.fault("certificate", problem),
        }
    }
    fingerprints.sort_unstable();
    fingerprints.dedup();
    let roles = s.required("roles", "a list of portal, authority, operator", list(role));
    let identifiers = s.or("identifiers", Vec::new(), list(parsed::<Identifier>));
    let quota = quota(s, limits.message);
    let xades = s.or("xades", false, |value| match text(value)? {
        "required" => Ok(true),
        "accepted" => Ok(false),
        _ => Err("must be required or accepted".to_owned()),
    });
    let roles = roles?;
    if roles.is_empty() {
        s.fault("roles", "is empty: write at least one of portal, authority, operator");
    }
    let needs = roles.iter().any(|role| matches!(role, Role::Portal | Role::Authority));
    if needs && identifiers.is_empty() {
        s.fault("identifiers", "is empty: portals and authorities need at least one prefix:key");
    }
    let account = Account { name: name?, roles, identifiers, quota, xades };
    Some(ConfiguredAccount { account, fingerprints, certificates: files })
}

fn quota(s: &mut Section<'_, '_>, message: u64) -> Quota {
    let mut q = s.section("quota");
    let quota = Quota {
        in_flight: q.or("in_flight", 64, count(0..=100_000)),
        messages_per_minute: u32::try_from(q.or("messages_per_minute", 6_000, number(0..=10_000_000)))
            .unwrap_or(u32::MAX),
        message_octets: q.or("message", message, octets(0..=message)),
    };
    q.end();
    quota
}

fn role(value: &toml::de::DeValue<'_>) -> Result<Role, String> {
    match text(value)? {
        "portal" => Ok(Role::Portal),
        "authority" => Ok(Role::Authority),
        "operator" => Ok(Role::Operator),
        _ => Err("must be portal, authority or operator".to_owned()),
    }
}

/// SHA-256 of a certificate's DER octets: 64 hexadecimal digits, colons allowed as openssl
/// writes them.
fn fingerprint(value: &toml::de::DeValue<'_>) -> Result<Digest, String> {
    let wrong = || "must be a certificate's SHA-256 fingerprint: 64 hexadecimal digits".to_owned();
    let digits: Vec<u8> = text(value)?.bytes().filter(|octet| *octet != b':').collect();
    if digits.len() != 64 {
        return Err(wrong());
    }
    let mut out = [0u8; 32];
    for (octet, pair) in out.iter_mut().zip(digits.chunks(2)) {
        let pair = std::str::from_utf8(pair).map_err(|_| wrong())?;
        *octet = u8::from_str_radix(pair, 16).map_err(|_| wrong())?;
    }
    Ok(Digest(out))
}

fn first_certificate(path: &Path) -> Result<Digest, String> {
    use rustls_pki_types::CertificateDer;
    use rustls_pki_types::pem::PemObject;
    let wrong = |why: String| format!("{}: {why}; write the PEM file of a certificate", path.display());
    let mut found = CertificateDer::pem_file_iter(path).map_err(|error| wrong(error.to_string()))?;
    match found.next() {
        Some(Ok(certificate)) => Ok(Digest::of(&certificate)),
        Some(Err(error)) => Err(wrong(error.to_string())),
        None => Err(wrong("holds no certificate".to_owned())),
    }
}

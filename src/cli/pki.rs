//! `amtsweg pki init`: a development PKI. One authority for TLS and for signatures, short-lived,
//! with its private key beside it: good for trying things out, never for real messages.

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, DnType, ExtendedKeyUsagePurpose,
    IsCa, Issuer, KeyIdMethod, KeyPair, KeyUsagePurpose, SerialNumber, date_time_ymd,
};

use super::input::{read_small, write_new};
use super::output::say;
use super::{Done, Ended, Fault};

/// `pki …`.
#[derive(Debug, Subcommand)]
pub enum PkiCommand {
    /// Make CA, server, account and signing certificates in a folder.
    Init(InitArgs),
}

/// `pki init`.
#[derive(Debug, Args)]
pub struct InitArgs {
    /// Folder to make the files in; files that are there are never overwritten.
    #[arg(long)]
    pub dir: PathBuf,
}

/// What a certificate is for; decides its key usages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// TLS server on localhost, and client for outbound calls.
    Server,
    /// TLS client: an account.
    Client,
    /// Signs messages or receipts.
    Signer,
}

/// The certificates made besides the CA: file name, common name, purpose.
pub const CERTIFICATES: [(&str, &str, Purpose); 7] = [
    ("server", "Amtsweg gateway (TLS)", Purpose::Server),
    ("portal", "Sample portal", Purpose::Client),
    ("authority", "Sample authority (pulls)", Purpose::Client),
    ("authority-push", "Sample authority (is pushed to)", Purpose::Server),
    ("operator", "Sample operator", Purpose::Client),
    ("gateway", "Amtsweg gateway (receipts)", Purpose::Signer),
    ("signer", "Sample portal (signature)", Purpose::Signer),
];

/// Days that account and signing certificates are valid.
const LEAF_DAYS: i64 = 397;
/// Days that the CA is valid.
const CA_DAYS: i64 = 5 * 365;

/// Runs `pki …`.
///
/// # Errors
/// When files are there already or can't be written.
pub fn run(command: &PkiCommand) -> Done {
    let PkiCommand::Init(args) = command;
    let made = init(&args.dir)?;
    for path in &made {
        say(path.display().to_string())?;
    }
    super::output::note(format!(
        "A development PKI: ca.key signs for everybody who can read it. Certificates are valid for {LEAF_DAYS} days."
    ));
    Ok(Ended::Well)
}

/// All files of a PKI folder.
fn names() -> Vec<String> {
    let pair = |name: &str| [format!("{name}.pem"), format!("{name}.key")];
    let mut names: Vec<String> = pair("ca").into();
    names.push("ca.crl.pem".to_owned());
    names.extend(CERTIFICATES.iter().flat_map(|(name, _, _)| pair(name)));
    names
}

/// Makes the PKI in `dir` and names the files made.
///
/// # Errors
/// When one of the files is there already (nothing is written then), or can't be written.
pub fn init(dir: &Path) -> Result<Vec<PathBuf>, Fault> {
    let there: Vec<String> = names().into_iter().filter(|n| dir.join(n).exists()).collect();
    if !there.is_empty() {
        return Err(Fault::said(format!(
            "{} already holds {}; nothing was changed. Name an empty folder, or remove these files first",
            dir.display(),
            there.join(", ")
        )));
    }
    std::fs::create_dir_all(dir).map_err(|e| Fault::file("make", dir, &e))?;
    let made = generate().map_err(|e| Fault::said(format!("cannot make the certificates: {e}")))?;
    let mut paths = Vec::new();
    for (name, text) in made {
        let path = dir.join(&name);
        write_new(&path, text.as_bytes(), name.ends_with(".key"), false)?;
        paths.push(path);
    }
    Ok(paths)
}

/// The PKI in `dir`: made if nothing is there, kept if all is there.
///
/// # Errors
/// When only a part is there, or a file can't be written.
pub fn ensure(dir: &Path) -> Result<(), Fault> {
    let (there, missing): (Vec<String>, Vec<String>) =
        names().into_iter().partition(|n| dir.join(n).exists());
    match (there.is_empty(), missing.is_empty()) {
        (true, _) => init(dir).map(|_| ()),
        (false, true) => Ok(()),
        (false, false) => Err(Fault::said(format!(
            "{} lacks {}; put them back, or remove the folder to have a new PKI made",
            dir.display(),
            missing.join(", ")
        ))),
    }
}

fn generate() -> Result<Vec<(String, String)>, rcgen::Error> {
    let ca_key = KeyPair::generate()?;
    let mut params = named("Amtsweg development CA", CA_DAYS);
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages =
        vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign, KeyUsagePurpose::DigitalSignature];
    let ca = params.self_signed(&ca_key)?;
    let ca_key_pem = ca_key.serialize_pem();
    let issuer = Issuer::new(params, ca_key);
    let mut files = vec![("ca.pem".to_owned(), ca.pem()), ("ca.key".to_owned(), ca_key_pem)];
    files.push(("ca.crl.pem".to_owned(), empty_crl(&issuer)?));
    for (name, common_name, purpose) in CERTIFICATES {
        let (certificate, key) = leaf(&issuer, common_name, purpose, 0..LEAF_DAYS)?;
        files.push((format!("{name}.pem"), certificate));
        files.push((format!("{name}.key"), key));
    }
    Ok(files)
}

/// The CA of a PKI folder, to make further certificates with.
///
/// # Errors
/// When its files can't be read.
pub fn issuer(dir: &Path) -> Result<Issuer<'static, KeyPair>, Fault> {
    let text = |name: &str| -> Result<String, Fault> {
        String::from_utf8(read_small(&dir.join(name))?)
            .map_err(|_| Fault::said(format!("{} is not PEM", dir.join(name).display())))
    };
    let fault = |e: rcgen::Error| Fault::said(format!("cannot use the CA in {}: {e}", dir.display()));
    let key = KeyPair::from_pem(&text("ca.key")?).map_err(fault)?;
    Issuer::from_ca_cert_pem(&text("ca.pem")?, key).map_err(fault)
}

/// A CA of its own that nobody trusts, for showing what happens then.
///
/// # Errors
/// When no key can be made.
pub fn stranger() -> Result<Issuer<'static, KeyPair>, rcgen::Error> {
    let mut params = named("Somebody else's CA", CA_DAYS);
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    Ok(Issuer::new(params, KeyPair::generate()?))
}

/// A certificate and its key (P-256) in PEM, valid on `days` counted from yesterday.
///
/// # Errors
/// When rcgen refuses.
pub fn leaf(
    issuer: &Issuer<'_, KeyPair>,
    common_name: &str,
    purpose: Purpose,
    days: std::ops::Range<i64>,
) -> Result<(String, String), rcgen::Error> {
    let mut params = named(common_name, days.end);
    valid(&mut params, days.start - 1, days.end);
    params.use_authority_key_identifier_extension = true;
    params.is_ca = IsCa::ExplicitNoCa;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    match purpose {
        Purpose::Server => {
            params.subject_alt_names =
                CertificateParams::new(["localhost", "127.0.0.1", "::1"].map(str::to_owned))?
                    .subject_alt_names;
            params.extended_key_usages =
                vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        }
        Purpose::Client => params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth],
        // No extended usage: none of the registered ones means "signs documents" everywhere.
        Purpose::Signer => params.key_usages.push(KeyUsagePurpose::ContentCommitment),
    }
    let key = KeyPair::generate()?;
    let certificate = params.signed_by(&key, issuer)?;
    Ok((certificate.pem(), key.serialize_pem()))
}

fn empty_crl(issuer: &Issuer<'_, KeyPair>) -> Result<String, rcgen::Error> {
    let ((y, m, d), (to_y, to_m, to_d)) = (day(-1), day(LEAF_DAYS));
    CertificateRevocationListParams {
        this_update: date_time_ymd(y, m, d),
        next_update: date_time_ymd(to_y, to_m, to_d),
        crl_number: SerialNumber::from(1_u64),
        issuing_distribution_point: None,
        revoked_certs: Vec::new(),
        key_identifier_method: KeyIdMethod::Sha256,
    }
    .signed_by(issuer)?
    .pem()
}

fn named(common_name: &str, days: i64) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name.remove(DnType::CommonName);
    params.distinguished_name.push(DnType::CountryName, "DE");
    params.distinguished_name.push(DnType::OrganizationName, "Amtsweg development");
    params.distinguished_name.push(DnType::CommonName, common_name);
    valid(&mut params, -1, days);
    params
}

/// Sets the validity, both ends in days from today.
fn valid(params: &mut CertificateParams, from: i64, to: i64) {
    let ((y, m, d), (to_y, to_m, to_d)) = (day(from), day(to));
    params.not_before = date_time_ymd(y, m, d);
    params.not_after = date_time_ymd(to_y, to_m, to_d);
}

/// Year, month and day so many days from today.
fn day(days: i64) -> (i32, u8, u8) {
    let today = crate::domain::Timestamp::now().date();
    let day = today.checked_add(jiff::Span::new().days(days)).unwrap_or(today);
    (i32::from(day.year()), day.month().unsigned_abs(), day.day().unsigned_abs())
}

#[cfg(test)]
mod tests;

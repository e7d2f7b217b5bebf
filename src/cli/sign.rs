//! `amtsweg sign`: makes the signature that the gateway's profile asks for.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::input::{Input, read, read_small, write_new};
use super::output::say_octets;
use super::{Done, Ended, Fault};
use crate::domain::Timestamp;
use crate::verify::sign::{Canonicalisation, Form, Hash, Profile, SignError, Signer};

/// Largest document that is read, in octets.
pub const MAX_DOCUMENT: usize = 64 << 20;

/// `sign`.
#[derive(Debug, Args)]
pub struct SignArgs {
    /// Certificate (PEM; a chain begins with the signer's).
    #[arg(long)]
    pub cert: PathBuf,
    /// Private key (PEM: PKCS#8, PKCS#1 or SEC1).
    #[arg(long)]
    pub key: PathBuf,
    /// Document to sign; - is standard input.
    pub input: PathBuf,
    /// Where to write the signed document; - is standard output.
    #[arg(short, long)]
    pub out: PathBuf,
    /// Canonicalisation.
    #[arg(long, value_enum, default_value_t = C14n::Exclusive)]
    pub c14n: C14n,
    /// Digest, also of the signature.
    #[arg(long, value_enum, default_value_t = HashName::Sha256)]
    pub hash: HashName,
    /// RSASSA-PSS instead of PKCS#1 v1.5 (RSA keys only).
    #[arg(long)]
    pub pss: bool,
    /// With the parameters of RSASSA-PSS written out (RFC 9231); implies --pss.
    #[arg(long)]
    pub pss_params: bool,
    /// XAdES B-B: with signed properties that name the certificate and the time.
    #[arg(long)]
    pub xades: bool,
    /// Refer to the document by its root's id instead of by URI="".
    #[arg(long)]
    pub by_id: bool,
    /// Replace OUT when it exists.
    #[arg(long)]
    pub force: bool,
}

/// Names of the canonicalisations.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum C14n {
    /// Exclusive 1.0
    Exclusive,
    /// Exclusive 1.0 with comments
    ExclusiveComments,
    /// Inclusive 1.0
    Inclusive,
    /// Inclusive 1.0 with comments
    InclusiveComments,
    /// Inclusive 1.1
    Inclusive11,
    /// Inclusive 1.1 with comments
    Inclusive11Comments,
}

/// Names of the digests.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum HashName {
    /// SHA-256
    Sha256,
    /// SHA-384
    Sha384,
    /// SHA-512
    Sha512,
}

impl SignArgs {
    fn profile(&self) -> Profile {
        Profile {
            canonicalisation: match self.c14n {
                C14n::Exclusive => Canonicalisation::Exclusive,
                C14n::ExclusiveComments => Canonicalisation::ExclusiveWithComments,
                C14n::Inclusive => Canonicalisation::Inclusive,
                C14n::InclusiveComments => Canonicalisation::InclusiveWithComments,
                C14n::Inclusive11 => Canonicalisation::Inclusive11,
                C14n::Inclusive11Comments => Canonicalisation::Inclusive11WithComments,
            },
            hash: match self.hash {
                HashName::Sha256 => Hash::Sha256,
                HashName::Sha384 => Hash::Sha384,
                HashName::Sha512 => Hash::Sha512,
            },
            pss: self.pss,
        }
    }

    fn form(&self) -> Form {
        Form { xades: self.xades.then(Timestamp::now), pss_parameters: self.pss_params, by_id: self.by_id }
    }
}

/// Runs `sign`.
///
/// # Errors
/// When certificate, key or document can't be used, or the output can't be written.
pub fn run(args: &SignArgs) -> Done {
    let to_stdout = args.out == std::path::Path::new("-");
    if !to_stdout && !args.force && args.out.exists() {
        return Err(Fault::said(format!(
            "{} exists and is left as it is; say --force to replace it",
            args.out.display()
        )));
    }
    let signer =
        Signer::from_pem(&read_small(&args.cert)?, &read_small(&args.key)?).map_err(|e| match e {
            SignError::Key(why) => Fault::said(format!("cannot use {}: {why}", args.key.display())),
            SignError::Certificate(why) => Fault::said(format!("cannot use {}: {why}", args.cert.display())),
            SignError::Document(why) => Fault::said(why.to_string()),
        })?;
    let Input::Whole(document) = read(&args.input, MAX_DOCUMENT)? else {
        return Err(Fault::said(format!(
            "{} has more than {MAX_DOCUMENT} octets; send large data as attachments",
            args.input.display()
        )));
    };
    let signed = signer
        .sign_as(&document, args.profile(), args.form())
        .map_err(|e| Fault::said(format!("cannot sign {}: {e}", args.input.display())))?;
    if to_stdout {
        say_octets(&signed)?;
    } else {
        write_new(&args.out, &signed, false, args.force)?;
    }
    Ok(Ended::Well)
}

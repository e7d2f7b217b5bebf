//! The demo's messages: real services for real places, and some that must be refused.

use std::collections::BTreeMap;
use std::path::PathBuf;

use bytes::Bytes;

use super::campaign::{BadCase, Case, Outcome as Carried};
use super::folder::{AUTHOR, Folder};
use crate::antrag::samples::{self, Bad, MakeError, Others};
use crate::antrag::{Application, Attachment, Party};
use crate::cli::Fault;
use crate::cli::input::read_small;
use crate::cli::pki::{self, Purpose};
use crate::cli::submit::Enclosure;
use crate::domain::{Ars, Identifier, ServiceKey, Timestamp, Way};
use crate::error::Code;
use crate::route::{Directory, Outcome, Query};
use crate::verify::sign::{Canonicalisation, Hash, Profile, SignError, Signer};

/// Further services of the sample catalogue, besides those with samples of their own.
const MORE_SERVICES: [&str; 4] = ["99008001012000", "99128009012000", "99107022012000", "99049001001000"];

/// A service in a place.
#[derive(Clone, Debug)]
struct Pair {
    service: ServiceKey,
    name: String,
    area: Ars,
    place: String,
}

/// The sample portal: knows the directory and signs.
pub struct Portal {
    author: Party,
    signer: Signer,
    pki: PathBuf,
    /// Pairs with a connected authority, by authority.
    connected: BTreeMap<String, Vec<Pair>>,
    /// One pair each for which nobody, somebody unconnected, more than one is competent.
    others: BTreeMap<Code, Pair>,
    pulled: Option<(usize, Identifier)>,
}

impl Portal {
    /// The portal of a demo folder.
    ///
    /// # Errors
    /// When the directory or the signer can't be used, or nobody is connected.
    pub fn open(folder: &Folder) -> Result<Self, Fault> {
        let directory = Directory::load(&folder.path("directory"))
            .map_err(|faults| Fault::all("cannot use the directory", &faults))?;
        let (connected, others) = pairs(&directory);
        if connected.is_empty() {
            return Err(Fault::said(
                "the demo's directory connects nobody; remove its folder `directory` to have the sample again",
            ));
        }
        let pki = folder.pki();
        let signer = signer(&read_small(&pki.join("signer.pem"))?, &read_small(&pki.join("signer.key"))?)?;
        let author = samples::portal(AUTHOR).map_err(|e| Fault::said(e.to_string()))?;
        let pulled = connected.keys().zip(1..).find_map(|(authority, number)| {
            let authority = directory.authority(&authority.parse().ok()?)?;
            let endpoint = directory.endpoint(authority.endpoint.as_ref()?)?;
            Some((number, authority.identifiers.first()?.clone())).filter(|_| endpoint.way() == Way::Pull)
        });
        Ok(Self { author, signer, pki, connected, others, pulled })
    }

    /// The number of the first sample without attachments that is fetched from a mailbox, and for whom it is.
    #[must_use]
    pub fn pulled(&self) -> Option<&(usize, Identifier)> {
        self.pulled.as_ref()
    }

    /// `n` good messages, each authority in turn; every third has an attachment.
    ///
    /// # Errors
    /// When one can't be made.
    pub fn good(&self, n: u32) -> Result<Vec<Case>, Fault> {
        (0..u64::from(n)).map(|i| self.case(i, i)).collect()
    }

    /// `n` good messages without attachments.
    ///
    /// # Errors
    /// When one can't be made.
    pub fn plain(&self, n: u32) -> Result<Vec<Case>, Fault> {
        // Seeds that are no multiple of three have none.
        (0..u64::from(n)).map(|i| self.case(i, i * 3 + 1)).collect()
    }

    /// A message without attachments that nobody has signed yet.
    ///
    /// # Errors
    /// When it can't be made.
    pub fn unsigned(&self) -> Result<Vec<u8>, Fault> {
        written(&self.application(self.pair(1)?, 1))
    }

    /// A message with attachments, and these.
    ///
    /// # Errors
    /// When it can't be made.
    pub fn with_attachment(&self) -> Result<(Bytes, Vec<Attachment>), Fault> {
        let application = self.application(self.pair(0)?, 0);
        Ok((self.sign(&application)?, application.attachments))
    }

    /// The `i`-th pair: one authority after the other, each time another service or place.
    fn pair(&self, i: u64) -> Result<&Pair, Fault> {
        let i = usize::try_from(i).unwrap_or(0);
        let authorities = self.connected.len().max(1);
        let list = self.connected.values().nth(i % authorities).map(Vec::as_slice).unwrap_or_default();
        // A stride without common divisors with small numbers shows many services and places.
        list.get((i / authorities * 31 + i) % list.len().max(1))
            .ok_or_else(|| Fault::said("the demo's directory connects nobody"))
    }

    fn application(&self, pair: &Pair, seed: u64) -> Application {
        samples::application(seed, &self.author, &pair.service, &pair.area, Timestamp::now())
    }

    fn case(&self, i: u64, seed: u64) -> Result<Case, Fault> {
        let pair = self.pair(i)?;
        let application = self.application(pair, seed);
        Ok(Case {
            service: pair.name.clone(),
            place: pair.place.clone(),
            document: self.sign(&application)?,
            attachments: enclosures(&application),
        })
    }

    fn sign(&self, application: &Application) -> Result<Bytes, Fault> {
        signed(&self.signer, application)
    }

    /// Messages that must be refused. `carried` are messages that were accepted before.
    ///
    /// # Errors
    /// When one can't be made.
    pub fn bad(&self, carried: &Carried) -> Result<Vec<BadCase>, Fault> {
        let pair = self.pair(0)?;
        let mut list = Vec::new();
        for bad in Bad::ALL {
            let mut good = self.application(pair, 1);
            if *bad == Bad::IdReused {
                let Some(first) = carried.carried.first() else { continue };
                good.uuid = first.report.uuid.parse().map_err(|e| Fault::said(format!("{e}")))?;
            }
            let Some(others) = self.others() else { continue };
            let document = bad
                .make(&good, &others, |octets| self.signer.sign(octets, PROFILE))
                .map_err(|e: MakeError<SignError>| Fault::said(e.to_string()))?;
            list.push(self.bad_case(bad.code(), bad.title(), document.into(), enclosures(&good)));
        }
        let fresh = self.application(pair, 1);
        list.push(self.bad_case(
            Code::CertificateExpired,
            "is signed with an expired certificate",
            self.expired(&fresh)?,
            Vec::new(),
        ));
        let fresh = self.application(pair, 1);
        list.push(self.bad_case(
            Code::CertificateUntrusted,
            "is signed by somebody of a foreign CA",
            stranger(&fresh)?,
            Vec::new(),
        ));
        if let Some(pair) = self.others.get(&Code::Ambiguous) {
            let document = self.sign(&self.application(pair, 1))?;
            list.push(self.bad_case(
                Code::Ambiguous,
                "finds two authorities competent",
                document,
                Vec::new(),
            ));
        }
        let with = self.application(pair, 3);
        let exchanged = with.attachments.iter().map(|a| {
            let other = vec![b'x'; a.octets.len()];
            Enclosure::Memory(a.name.clone(), other.into())
        });
        list.push(self.bad_case(
            Code::SignatureWrong,
            "had its attachment exchanged on the way",
            self.sign(&with)?,
            exchanged.collect(),
        ));
        Ok(list)
    }

    fn bad_case(&self, expected: Code, what: &str, document: Bytes, attachments: Vec<Enclosure>) -> BadCase {
        BadCase {
            case: Case { service: String::new(), place: what.to_owned(), document, attachments },
            expected,
        }
    }

    /// What bad samples need; none when the directory was changed so that it has no such gaps.
    fn others(&self) -> Option<Others> {
        let pair = |code: Code| self.others.get(&code).map(|p| (p.service.clone(), p.area.clone()));
        let party = |identifier: &str| {
            identifier.parse().ok().map(|identifier| Party { identifier, name: "Stelle (Muster)".to_owned() })
        };
        Some(Others {
            stranger: party("psw:06999998")?,
            wrong_reader: party("kop:06999997")?,
            nobody: pair(Code::NobodyCompetent)?,
            not_connected: pair(Code::NotConnected)?,
        })
    }

    /// Signed with a certificate of the demo's CA that has expired.
    fn expired(&self, application: &Application) -> Result<Bytes, Fault> {
        let issuer = pki::issuer(&self.pki)?;
        let (certificate, key) = pki::leaf(&issuer, "Sample portal (expired)", Purpose::Signer, -60..-2)
            .map_err(|e| Fault::said(format!("cannot make a certificate: {e}")))?;
        signed(&signer(certificate.as_bytes(), key.as_bytes())?, application)
    }
}

/// Signed with a certificate of a CA that nobody trusts.
fn stranger(application: &Application) -> Result<Bytes, Fault> {
    let (certificate, key) = pki::stranger()
        .and_then(|issuer| pki::leaf(&issuer, "Stranger", Purpose::Signer, 0..30))
        .map_err(|e| Fault::said(format!("cannot make a certificate: {e}")))?;
    signed(&signer(certificate.as_bytes(), key.as_bytes())?, application)
}

const PROFILE: Profile =
    Profile { canonicalisation: Canonicalisation::Exclusive, hash: Hash::Sha256, pss: false };

fn signer(certificate: &[u8], key: &[u8]) -> Result<Signer, Fault> {
    Signer::from_pem(certificate, key).map_err(|e| Fault::said(format!("cannot use the sample signer: {e}")))
}

fn signed(signer: &Signer, application: &Application) -> Result<Bytes, Fault> {
    let signed = signer.sign(&written(application)?, PROFILE);
    signed.map(Bytes::from).map_err(|e| Fault::said(format!("cannot sign a sample: {e}")))
}

fn written(application: &Application) -> Result<Vec<u8>, Fault> {
    application.to_xml().map_err(|e| Fault::said(format!("cannot write a sample: {e}")))
}

fn enclosures(application: &Application) -> Vec<Enclosure> {
    application.attachments.iter().map(|a| Enclosure::Memory(a.name.clone(), a.octets.clone())).collect()
}

type Pairs = (BTreeMap<String, Vec<Pair>>, BTreeMap<Code, Pair>);

/// Asks the directory about all services in all municipalities.
fn pairs(directory: &Directory) -> Pairs {
    let date = Timestamp::now().date();
    let mut pairs = Pairs::default();
    let keys = samples::SERVICES.iter().map(|s| s.key).chain(MORE_SERVICES);
    for service in keys.filter_map(|key| key.parse::<ServiceKey>().ok()) {
        let Some(name) = directory.service_name(&service) else { continue };
        for (area, place) in directory.municipalities(date) {
            let query = Query { service: service.clone(), area: area.clone(), date };
            // "Marburg, Universitätsstadt": the first part is what people say.
            let place = place.split(',').next().unwrap_or(place).to_owned();
            let pair = || Pair { service: service.clone(), name: name.to_owned(), area: area.clone(), place };
            let code = match directory.ask(&query).outcome {
                Outcome::Connected(placement) => {
                    pairs.0.entry(placement.authority.to_string()).or_default().push(pair());
                    continue;
                }
                Outcome::Nobody => Code::NobodyCompetent,
                Outcome::NotConnected(_) => Code::NotConnected,
                Outcome::Ambiguous(_) => Code::Ambiguous,
            };
            pairs.1.entry(code).or_insert_with(pair);
        }
    }
    pairs
}

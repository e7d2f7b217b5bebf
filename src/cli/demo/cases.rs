//! The demo's messages: real services for real places, and some that must be refused.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use bytes::Bytes;
use tonic::transport::Channel;

use super::Voice;
use super::application::Application;
use super::campaign::{BadCase, Case, Outcome as CarriedOutcome};
use super::folder::{AUTHOR, Folder};
use crate::cli::input::{read_small, write_new};
use crate::cli::pki::{self, Purpose};
use crate::cli::submit::submit;
use crate::cli::{Fault, client};
use crate::domain::{Ars, DeclaredAttachment, Digest, ServiceKey, Timestamp};
use crate::error::Code;
use crate::proto::operator_client::OperatorClient;
use crate::proto::{MessagesRequest, StatusRequest};
use crate::route::{Directory, Outcome, Query};
use crate::verify::sign::{Canonicalisation, Hash, Profile, Signer};

/// Services that people of Hesse apply for: LeiKa/FIM keys of the sample catalogue.
const SERVICES: [&str; 13] = [
    "99102013104000",
    "99059001104000",
    "99115005104000",
    "99050012104000",
    "99008001012000",
    "99027002012000",
    "99128009012000",
    "99012070006001",
    "99107023037000",
    "99107022012000",
    "99108001001000",
    "99049001001000",
    "99108014042000",
];
/// How long messages of an earlier run may take to be finished.
const OLD: Duration = Duration::from_secs(90);
/// Every so many-th message has an attachment.
const ATTACHMENT_EACH: usize = 5;

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
    signer: Signer,
    pki: PathBuf,
    plan: PathBuf,
    plan_declared: DeclaredAttachment,
    /// Pairs with a connected authority, by authority.
    connected: BTreeMap<String, Vec<Pair>>,
    /// One pair each for which nobody, somebody unconnected, more than one is competent.
    others: BTreeMap<Code, Pair>,
}

impl Portal {
    /// The portal of a demo folder.
    ///
    /// # Errors
    /// When the directory or the signer can't be used, or nobody is connected.
    pub fn open(folder: &Folder) -> Result<Self, Fault> {
        let directory = Directory::load(&folder.path("directory"))
            .map_err(|faults| Fault::all("cannot use the directory", &faults))?;
        let samples = folder.path("samples").join("with-attachment");
        std::fs::create_dir_all(&samples).map_err(|e| Fault::file("make", &samples, &e))?;
        let plan = samples.join(PLAN);
        if !plan.exists() {
            write_new(&plan, &plan_octets(), false, false)?;
        }
        let plan_declared = declared(&plan)?;
        let (connected, others) = pairs(&directory)?;
        if connected.is_empty() {
            return Err(Fault::said(
                "the demo's directory connects nobody; remove its folder `directory` to have the sample again",
            ));
        }
        let pki = folder.pki();
        let signer = signer(&read_small(&pki.join("signer.pem"))?, &read_small(&pki.join("signer.key"))?)?;
        Ok(Self { signer, pki, plan, plan_declared, connected, others })
    }

    /// `n` good messages, each authority in turn.
    ///
    /// # Errors
    /// When one can't be signed.
    pub fn good(&self, n: u32) -> Result<Vec<Case>, Fault> {
        let n = usize::try_from(n).unwrap_or(usize::MAX);
        self.in_turn(n)
            .enumerate()
            .map(|(i, pair)| self.case(pair, i % ATTACHMENT_EACH == ATTACHMENT_EACH - 1))
            .collect()
    }

    /// `n` good messages without attachments.
    ///
    /// # Errors
    /// When one can't be signed.
    pub fn plain(&self, n: u32) -> Result<Vec<Case>, Fault> {
        self.in_turn(usize::try_from(n).unwrap_or(usize::MAX)).map(|pair| self.case(pair, false)).collect()
    }

    /// A message with an attachment, whose file lies in the samples.
    ///
    /// # Errors
    /// When it can't be signed.
    pub fn with_attachment(&self, _dir: &Path) -> Result<Case, Fault> {
        self.in_turn(1)
            .next()
            .ok_or_else(|| Fault::said("the directory connects nobody"))
            .and_then(|pair| self.case(pair, true))
    }

    /// Pairs, one authority after the other, each time another service or place.
    fn in_turn(&self, n: usize) -> impl Iterator<Item = &Pair> {
        let authorities = self.connected.len().max(1);
        let lists: Vec<&Vec<Pair>> = self.connected.values().collect();
        (0..n).filter_map(move |i| {
            let list = lists.get(i % authorities)?;
            // A stride without common divisors with small numbers shows many places.
            list.get((i / authorities * 31 + i) % list.len().max(1))
        })
    }

    fn case(&self, pair: &Pair, attachment: bool) -> Result<Case, Fault> {
        let mut application = Application::new(AUTHOR, &pair.service, &pair.area);
        let mut attachments = Vec::new();
        if attachment {
            application.attachments.push(self.plan_declared.clone());
            attachments.push(self.plan.clone());
        }
        Ok(Case {
            service: pair.name.clone(),
            place: pair.place.clone(),
            document: self.sign(&application)?,
            attachments,
        })
    }

    fn sign(&self, application: &Application) -> Result<Bytes, Fault> {
        sign(&self.signer, &application.xml())
    }

    /// Messages that must be refused. `carried` are messages that were accepted before.
    ///
    /// # Errors
    /// When one can't be made.
    pub fn bad(&self, carried: &CarriedOutcome) -> Result<Vec<BadCase>, Fault> {
        let pair = self.in_turn(1).next().ok_or_else(|| Fault::said("the directory connects nobody"))?;
        let fresh = || Application::new(AUTHOR, &pair.service, &pair.area);
        let mut list = Vec::new();
        let mut add = |expected: Code, what: &str, document: Bytes, attachments: Vec<PathBuf>| {
            let case = Case { service: pair.name.clone(), place: what.to_owned(), document, attachments };
            list.push(BadCase { case, expected });
        };
        let good = self.sign(&fresh())?;
        add(Code::NotWellFormed, "cut off in the middle", good.slice(..good.len() / 2), vec![]);
        add(Code::Forbidden, "brings a DTD along", with_dtd(&good), vec![]);
        add(Code::SchemaInvalid, "element that the schema does not know", self.odd(&fresh())?, vec![]);
        add(Code::SignatureMissing, "not signed", fresh().xml().into(), vec![]);
        add(Code::SignatureWrong, "changed after it was signed", changed(&good), vec![]);
        let mut other = fresh();
        other.attachments.push(DeclaredAttachment { sha256: Digest([7; 32]), ..self.plan_declared.clone() });
        add(
            Code::SignatureWrong,
            "attachment exchanged on the way",
            self.sign(&other)?,
            vec![self.plan.clone()],
        );
        add(Code::CertificateExpired, "signer's certificate expired", self.expired(&fresh())?, vec![]);
        add(Code::CertificateUntrusted, "signer of a foreign CA", stranger(&fresh())?, vec![]);
        let foreign = Application::new("psw:06999998", &pair.service, &pair.area);
        add(Code::NotEntitled, "written in somebody else's name", self.sign(&foreign)?, vec![]);
        let mut differs = fresh();
        differs.reader = Some("kop:06999997".to_owned());
        add(Code::ReaderDiffers, "names a reader that is not competent", self.sign(&differs)?, vec![]);
        for (code, pair) in &self.others {
            let application = Application::new(AUTHOR, &pair.service, &pair.area);
            let what = format!("{}, {}", pair.name, pair.place);
            add(*code, &what, self.sign(&application)?, vec![]);
        }
        if let Some(first) = carried.carried.first() {
            let mut reused = fresh();
            reused.uuid = uuid::Uuid::try_parse(&first.report.uuid).unwrap_or(reused.uuid);
            add(Code::IdUsed, "UUID of another message", self.sign(&reused)?, vec![]);
        }
        Ok(list)
    }

    /// Signed, but not as the schema says.
    fn odd(&self, application: &Application) -> Result<Bytes, Fault> {
        let xml = application.xml();
        let odd = xml.replacen("<antrag:fachdaten", "<antrag:eile>sehr</antrag:eile><antrag:fachdaten", 1);
        sign(&self.signer, &odd)
    }

    /// Signed with a certificate of the demo's CA that has expired.
    fn expired(&self, application: &Application) -> Result<Bytes, Fault> {
        let issuer = pki::issuer(&self.pki)?;
        let (certificate, key) = pki::leaf(&issuer, "Sample portal (expired)", Purpose::Signer, -60..-2)
            .map_err(|e| Fault::said(format!("cannot make a certificate: {e}")))?;
        sign(&signer(certificate.as_bytes(), key.as_bytes())?, &application.xml())
    }
}

/// Signed with a certificate of a CA that nobody trusts.
fn stranger(application: &Application) -> Result<Bytes, Fault> {
    let (certificate, key) = pki::stranger()
        .and_then(|issuer| pki::leaf(&issuer, "Stranger", Purpose::Signer, 0..30))
        .map_err(|e| Fault::said(format!("cannot make a certificate: {e}")))?;
    sign(&signer(certificate.as_bytes(), key.as_bytes())?, &application.xml())
}

fn signer(certificate: &[u8], key: &[u8]) -> Result<Signer, Fault> {
    Signer::from_pem(certificate, key).map_err(|e| Fault::said(format!("cannot use the sample signer: {e}")))
}

fn sign(signer: &Signer, xml: &str) -> Result<Bytes, Fault> {
    let profile = Profile { canonicalisation: Canonicalisation::Exclusive, hash: Hash::Sha256, pss: false };
    let signed = signer.sign(xml.as_bytes(), profile);
    signed.map(Bytes::from).map_err(|e| Fault::said(format!("cannot sign a sample: {e}")))
}

/// The document with one digit of its area changed.
fn changed(document: &Bytes) -> Bytes {
    let text = String::from_utf8_lossy(document);
    text.replacen("(Muster)", "(Mustex)", 1).into_bytes().into()
}

/// The document with a DTD before its root.
fn with_dtd(document: &Bytes) -> Bytes {
    let text = String::from_utf8_lossy(document);
    let at = text.find("<antrag:").unwrap_or(0);
    let (before, root) = text.split_at(at);
    format!("{before}<!DOCTYPE x [<!ENTITY e \"boom\">]>\n{root}").into_bytes().into()
}

/// File name of the sample attachment.
const PLAN: &str = "lageplan.csv";

/// A sample attachment of some 300 KB: the points of a plan.
fn plan_octets() -> Vec<u8> {
    let mut text = String::from("punkt;rechtswert;hochwert\n");
    for i in 0_u32..12_000 {
        text.push_str(&format!("{i};{};{}\n", 3_470_000 + i * 7 % 9_973, 5_550_000 + i * 13 % 9_967));
    }
    text.into_bytes()
}

fn declared(path: &Path) -> Result<DeclaredAttachment, Fault> {
    let octets = read_small(path)?;
    Ok(DeclaredAttachment {
        name: PLAN.to_owned(),
        media_type: "text/csv".to_owned(),
        size: octets.len() as u64,
        sha256: Digest::of(&octets),
    })
}

type Pairs = (BTreeMap<String, Vec<Pair>>, BTreeMap<Code, Pair>);

/// Asks the directory about all services in all municipalities.
fn pairs(directory: &Directory) -> Result<Pairs, Fault> {
    let date = Timestamp::now().date();
    let mut pairs: Pairs = Pairs::default();
    for key in SERVICES {
        let service: ServiceKey = key.parse().map_err(|e| Fault::said(format!("{e}")))?;
        let Some(name) = directory.service_name(&service) else { continue };
        for (area, place) in directory.municipalities(date) {
            let query = Query { service: service.clone(), area: area.clone(), date };
            let pair = || Pair {
                service: service.clone(),
                name: name.to_owned(),
                area: area.clone(),
                place: place.to_owned(),
            };
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
    Ok(pairs)
}

/// Hands a message in again: the first receipt must come again. The inner error is a fault of the
/// gateway, in a sentence.
///
/// # Errors
/// When a file can't be read or nobody reads the output any more.
pub async fn again(
    portal: &Channel,
    first: &Case,
    carried: &CarriedOutcome,
    voice: Voice,
) -> Result<Result<(), String>, Fault> {
    match submit(portal.clone(), first.document.clone(), &first.attachments).await? {
        Ok(answer) => {
            let known = carried.carried.iter().any(|c| c.report.message_id == answer.message_id);
            if !(known && answer.repeated) {
                return Ok(Err(format!("handed in again it became {}", answer.message_id)));
            }
            voice.tell(format!(
                "  the same receipt again, nothing is delivered twice: {}",
                answer.message_id
            ))?;
            Ok(Ok(()))
        }
        Err(status) => {
            let why = client::problem_of(&status).map(|p| p.reason).unwrap_or_else(|| status.to_string());
            Ok(Err(format!("handing in again was refused: {why}")))
        }
    }
}

/// Waits until the messages of an earlier run are finished: how many were, and what was not.
///
/// # Errors
/// When the gateway can't be asked.
pub async fn finish_old(operator: &Channel, voice: Voice) -> Result<(usize, Vec<String>), Fault> {
    let mut client = OperatorClient::new(operator.clone());
    let fault = |s: tonic::Status| Fault::said(format!("cannot ask for the queues: {}", s.message()));
    let mut open = Vec::new();
    for state in ["Queued", "Sending", "Delivered", "Available", "Leased"] {
        let mut after = 0;
        loop {
            let request =
                MessagesRequest { state: state.to_owned(), after, limit: 200, ..Default::default() };
            let page = client.messages(request).await.map_err(fault)?.into_inner();
            open.extend(page.reports.into_iter().map(|r| r.message_id));
            if page.next_after <= after {
                break;
            }
            after = page.next_after;
        }
    }
    let all = open.len();
    if all > 0 {
        voice.tell(format!("\n{all} messages were left from before; waiting for them …"))?;
    }
    let begun = Instant::now();
    let mut finished = 0;
    let mut left = Vec::new();
    for message_id in open {
        loop {
            let request = StatusRequest { message_id: message_id.clone() };
            let report = client.show(request).await.map_err(fault)?.into_inner();
            if matches!(report.state.as_str(), "Closed" | "Returned") {
                finished += 1;
                voice.tell(format!("  {} after {} attempts: {message_id}", report.state, report.attempts))?;
                break;
            }
            if report.state == "Parked" || begun.elapsed() > OLD {
                left.push(format!("{message_id} from before is still {}", report.state));
                break;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
    Ok((finished, left))
}

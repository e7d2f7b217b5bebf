//! Opens an image and compares it with what was acknowledged before the cut.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use amtsweg::domain::record::ContentPlace;
use amtsweg::domain::{ContentRef, Digest, FactKind, MessageId, Record, Timestamp};
use amtsweg::store::{Acceptance, Filter, ReadPort, Store, read_all};

use super::log::Log;
use super::world::{ERASE, World, endpoint, told, uuid};

/// What is known of one message at the moment of a cut.
#[derive(Clone, Debug, Default)]
struct Message {
    document: String,
    /// Its id and the highest version that was acknowledged.
    acknowledged: Option<(String, u64)>,
    /// Where its document lay, once its erasure was acknowledged.
    erased: Option<ContentRef>,
    /// What its record may look like, by version.
    records: BTreeMap<u64, BTreeSet<String>>,
    /// Somebody asked for its end, so its content may go, and after that its record.
    closed: bool,
    gone: bool,
}

/// What is known at the moment of a cut.
#[derive(Clone, Debug, Default)]
pub struct Known {
    messages: BTreeMap<usize, Message>,
    /// By endpoint: the latest setting acknowledged, and those asked for.
    settings: BTreeMap<usize, (u64, BTreeSet<u64>)>,
    /// Records of closed messages are being removed.
    forgetting: bool,
}

impl Known {
    /// What the first `until` records of `log` tell, besides what is known already.
    pub fn and(&self, log: &Log, until: usize) -> Self {
        let mut known = self.clone();
        log.marks(until).for_each(|mark| known.mark(mark));
        known
    }

    fn mark(&mut self, mark: &str) {
        let words: Vec<&str> = mark.split(' ').collect();
        if words[0] == "F" {
            // The disk failed; that promises nothing.
            return;
        }
        let number = |at: usize| words[at].parse::<u64>().unwrap();
        let key = number(1) as usize;
        if words[0].eq_ignore_ascii_case("c") {
            let (latest, asked) = self.settings.entry(key).or_default();
            asked.insert(number(2));
            if words[0] == "C" {
                *latest = number(2);
            }
            return;
        }
        if matches!(words[0], "R" | "U") {
            self.forgetting = words[0] == "R";
            let forgetting = self.forgetting;
            self.messages.values_mut().for_each(|message| message.gone |= forgetting && message.closed);
            return;
        }
        let message = self.messages.entry(key).or_default();
        if words[0].eq_ignore_ascii_case("e") {
            message.erased = (words[0] == "E").then(|| serde_json::from_str(words[2]).unwrap());
            return;
        }
        let mut acknowledge = |id: Option<&str>, version: u64| {
            let (known, highest) =
                message.acknowledged.get_or_insert_with(|| (id.unwrap_or_default().to_owned(), version));
            assert!(id.is_none_or(|id| id == known), "message {key} was acknowledged under two ids");
            *highest = version.max(*highest);
        };
        match words[0] {
            "T" => message.document = words[2].to_owned(),
            "A" => {
                acknowledge(Some(words[2]), number(3));
                message.records.entry(number(3)).or_default().insert(words[4].to_owned());
            }
            "W" => {
                message.records.entry(number(2)).or_default().insert(words[3].to_owned());
                message.closed |= words[4] == "Closed";
                message.gone |= message.closed && self.forgetting;
            }
            "K" => acknowledge(None, number(2)),
            other => panic!("an unknown mark {other}"),
        }
    }

    /// Messages that were submitted and never answered.
    pub fn unanswered(&self) -> Vec<usize> {
        self.messages.iter().filter(|(_, m)| m.acknowledged.is_none()).map(|(n, _)| *n).collect()
    }

    /// Messages acknowledged.
    pub fn acknowledged(&self) -> usize {
        self.messages.values().filter(|m| m.acknowledged.is_some()).count()
    }
}

/// What is wrong with an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// The store did not open, or works no more: somebody has to see to it.
    Hand,
    Lost,
    Corrupt,
    /// Erased, and readable again.
    Back,
    /// The same message under another id, or twice.
    Duplicate,
}

pub type Faults = Vec<(Kind, String)>;

/// Opens the store on the disk `root` and looks at everything; `fresh` and the one behind it are messages that
/// nobody has submitted. With `again` it is closed and opened a second time.
pub async fn judge(world: &World, known: &Known, root: &Path, fresh: usize, again: bool) -> Faults {
    let data = &super::drive::store(root);
    let mut faults = Faults::new();
    let opened = match world.open(data) {
        Ok(opened) => opened,
        Err(fault) => return vec![(Kind::Hand, format!("it does not open: {fault}"))],
    };
    let store = opened.store;
    let mut ids = everything(&store, known, &mut faults).await;
    if faults.is_empty() {
        // What the housekeeper does on the image leaves all that in place, too.
        let later = Timestamp::now().plus(ERASE * 2);
        match store.keep_house(later).await {
            Ok(_) => ids = everything(&store, known, &mut faults).await,
            Err(fault) => faults.push((Kind::Hand, format!("the housekeeper breaks off: {fault}"))),
        }
    }
    settings(&store, known, &mut faults).await;
    repeats(world, &store, known, &ids, &mut faults).await;
    goes_on(world, &store, data, fresh, &mut faults).await;
    store.close().await;
    if let Some(why) = store.closed().filter(|why| !why.contains("shutting down")) {
        faults.push((Kind::Hand, format!("the store closed itself: {why}")));
    }
    if again && faults.is_empty() {
        let count = ids.len();
        match world.open(data) {
            Ok(again) if (again.recovery.messages as usize) < count => {
                faults.push((Kind::Lost, "messages are gone at the next start".to_owned()));
            }
            Ok(again) => again.store.close().await,
            Err(fault) => faults.push((Kind::Hand, format!("it does not open again: {fault}"))),
        }
    }
    faults
}

/// All messages in the store, each as it must be; their ids by number.
async fn everything(store: &Store, known: &Known, faults: &mut Faults) -> BTreeMap<usize, MessageId> {
    let mut ids = BTreeMap::new();
    let listed = match store.list(&Filter { limit: 100_000, ..Filter::default() }).await {
        Ok(listed) => listed,
        Err(fault) => {
            faults.push((Kind::Hand, format!("it can't be listed: {fault}")));
            return ids;
        }
    };
    for record in listed {
        let n = (record.header.uuid.as_u128() - uuid(0).as_u128()) as usize;
        if ids.insert(n, record.id.clone()).is_some() {
            faults.push((Kind::Duplicate, format!("message {n} is there twice")));
        }
        let Some(message) = known.messages.get(&n) else {
            faults.push((Kind::Corrupt, format!("message {n} was never submitted")));
            continue;
        };
        looks_right(n, message, &record, faults);
        readable(store, n, message, &record, faults).await;
    }
    for (n, message) in &known.messages {
        let Some((id, version)) = &message.acknowledged else { continue };
        match ids.get(n) {
            None if message.gone => {}
            None => faults.push((Kind::Lost, format!("message {n}, version {version}"))),
            Some(other) if other.to_string() != *id => {
                faults.push((Kind::Duplicate, format!("message {n} has the id {other}, not {id}")));
            }
            Some(_) => {}
        }
    }
    ids
}

fn looks_right(n: usize, message: &Message, record: &Record, faults: &mut Faults) {
    if let Some((_, version)) = &message.acknowledged
        && record.version < *version
    {
        faults.push((Kind::Lost, format!("message {n}: version {version} is {} again", record.version)));
    }
    // A first record is told with its answer: a cut before that leaves only later ones known.
    let first = record.facts.iter().filter(|fact| fact.kind != FactKind::Erased).count() == 1;
    let unseen = first && !message.records.contains_key(&1);
    // The store counts versions of its own in between.
    let from = message.acknowledged.as_ref().map_or(0, |(_, version)| *version);
    let mut like = message.records.range(from.min(record.version)..=record.version);
    if !unseen && !like.any(|(_, like)| like.contains(&told(record))) {
        faults.push((Kind::Corrupt, format!("message {n}: nobody asked for version {}", record.version)));
    }
    if record.document.sha256.to_string() != message.document {
        faults.push((Kind::Corrupt, format!("message {n} has another document")));
    }
}

async fn readable(store: &Store, n: usize, message: &Message, record: &Record, faults: &mut Faults) {
    let receipt = format!("<receipt n='{n}' id='{}'/>", record.id);
    if record.receipt.sha256 != Digest::of(receipt.as_bytes()) {
        faults.push((Kind::Corrupt, format!("message {n} has another receipt")));
    }
    let attachments = record.attachments.iter().map(|a| &a.content);
    let contents: Vec<&ContentRef> =
        [&record.document, &record.receipt].into_iter().chain(attachments).collect();
    for content in contents {
        let goes = *content != record.receipt;
        if content.place == ContentPlace::Dropped && message.closed && goes {
            continue;
        }
        if let Err(fault) = read_all(store, content, 1 << 20).await {
            let what = if message.acknowledged.is_some() { "acknowledged" } else { "unanswered" };
            faults.push((Kind::Corrupt, format!("message {n} ({what}): {:?}: {fault}", content.place)));
        }
    }
    // Whoever knows where it lay finds no key for it.
    if let Some(lay) = &message.erased
        && read_all(store, lay, 1 << 20).await.is_ok()
    {
        faults.push((Kind::Back, format!("message {n} was erased: {:?}", lay.place)));
    }
}

async fn settings(store: &Store, known: &Known, faults: &mut Faults) {
    let controls = store.controls().await.unwrap_or_default();
    for (e, (latest, asked)) in &known.settings {
        let found = controls.iter().find(|c| c.endpoint.as_str() == endpoint(*e)).map(|c| c.at.0);
        match found {
            Some(at) if at >= *latest && asked.contains(&at) => {}
            None if *latest == 0 => {}
            found => faults.push((Kind::Lost, format!("setting {latest} of endpoint {e}: {found:?}"))),
        }
    }
}

/// Submits some messages again under other ids.
async fn repeats(
    world: &World,
    store: &Store,
    known: &Known,
    ids: &BTreeMap<usize, MessageId>,
    faults: &mut Faults,
) {
    let last = known.messages.keys().rev().take(3).copied();
    let some: BTreeSet<usize> = known.unanswered().into_iter().take(5).chain(last).collect();
    for n in some {
        let id = MessageId::new("power", uuid::Uuid::new_v4()).unwrap();
        match (world.accept(store, n, &id).await, ids.get(&n)) {
            (Ok(Acceptance::Again(record)), Some(first)) if record.id == *first => {}
            (Ok(Acceptance::New(_)), None) => {}
            (Ok(Acceptance::Again(record)), _) => {
                faults.push((Kind::Duplicate, format!("message {n} is answered with {}", record.id)));
            }
            (Ok(Acceptance::New(_)), Some(_)) => {
                faults.push((Kind::Duplicate, format!("message {n} was taken a second time")));
            }
            (Err(fault), _) => {
                faults.push((Kind::Hand, format!("message {n} can't be submitted again: {fault}")));
            }
        }
    }
}

/// New messages are taken and can be read: one by a segment, one by files.
async fn goes_on(world: &World, store: &Store, data: &Path, fresh: usize, faults: &mut Faults) {
    for n in [fresh, fresh + 1] {
        let id = MessageId::new("power", uuid::Uuid::new_v4()).unwrap();
        let read = match world.accept(store, n, &id).await {
            Ok(Acceptance::New(record)) => match store.get(&record.id).await {
                Ok(Some(_)) => read_all(store, &record.document, 1 << 20).await.map(|_| ()),
                Ok(None) => Err(amtsweg::store::StoreError::Unknown),
                Err(fault) => Err(fault),
            },
            Ok(Acceptance::Again(_)) => {
                faults.push((Kind::Duplicate, format!("message {n} was there before anybody sent it")));
                Ok(())
            }
            Err(fault) => Err(fault),
        };
        if let Err(fault) = read {
            faults.push((Kind::Hand, format!("a new message is not taken: {fault}")));
        }
    }
    // Any of these may be needed for the next file.
    let missing = (0..=255).find(|octet| !data.join(format!("content/files/{octet:02x}")).is_dir());
    if let Some(octet) = missing {
        faults.push((Kind::Hand, format!("folder {octet:02x} for content is missing for good")));
    }
}

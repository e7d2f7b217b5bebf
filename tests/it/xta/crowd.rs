//! A crowd of clients pulls one mailbox at once, and some of them die half-way.
//!
//! `AMTSWEG_CROWD=10000 cargo test --release --test it xta::crowd -- --nocapture` is the long form.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use amtsweg::domain::{FactKind, Quota, Record, State};
use amtsweg::store::{Filter, ReadPort as _};

use super::wire::{Order, Party, Said, between, policies};
use crate::support::gateway::hesse;
use crate::support::{Gateway, Options};

const CLIENTS: usize = 64;
/// So many of them die, a third of them each death.
const DOOMED: usize = 24;
/// Messages in the mailbox without the long form.
const FEW: usize = 400;
/// The mailbox's lease: the shortest that there is.
const LEASE: Duration = Duration::from_secs(10);

/// How many messages, by the environment.
fn messages() -> usize {
    std::env::var("AMTSWEG_CROWD").ok().and_then(|text| text.parse().ok()).unwrap_or(FEW)
}

/// The directory with the shortest lease for every mailbox.
fn directory(folder: &std::path::Path) {
    for entry in std::fs::read_dir(hesse()).unwrap() {
        let entry = entry.unwrap();
        std::fs::copy(entry.path(), folder.join(entry.file_name())).unwrap();
    }
    let endpoints = folder.join("endpoints.toml");
    let text = std::fs::read_to_string(&endpoints).unwrap();
    std::fs::write(endpoints, text.replace("lease = \"10m\"", "lease = \"10s\"")).unwrap();
}

/// Who holds a message since when, as the clients see it.
#[derive(Default)]
struct Book {
    /// From before a client asked for the message until it was told that it closed it.
    held: Mutex<BTreeMap<String, (usize, Instant)>>,
    /// Closed, and the client was told.
    closed: Mutex<BTreeSet<String>>,
    /// Handed out.
    handed: AtomicUsize,
    /// Handed out again after a lease ran out.
    again: AtomicUsize,
    /// Clients that died.
    died: AtomicUsize,
    /// Answers that there is nothing, while there was.
    wrong: AtomicUsize,
}

impl Book {
    /// A client got a message that it had asked for at `asked`.
    fn got(&self, client: usize, id: &str, asked: Instant) {
        self.handed.fetch_add(1, Ordering::Relaxed);
        assert!(!self.closed.lock().unwrap().contains(id), "{id} was closed and is handed out again");
        let before = self.held.lock().unwrap().insert(id.to_owned(), (client, asked));
        if let Some((holder, since)) = before {
            self.again.fetch_add(1, Ordering::Relaxed);
            let after = since.elapsed();
            assert!(after >= LEASE, "{holder} and {client} hold {id} at once ({after:?})");
        }
    }

    fn closed(&self, id: &str) {
        self.held.lock().unwrap().remove(id);
        self.closed.lock().unwrap().insert(id.to_owned());
    }
}

/// How a client dies.
#[derive(Clone, Copy, PartialEq)]
enum Death {
    /// While its request for a message is under way.
    Fetching,
    /// With a message in its hands.
    Holding,
    /// While its `close` is under way.
    Closing,
}

struct Crowd {
    gateway: Gateway,
    book: Book,
    contents: BTreeMap<String, usize>,
}

fn payload(number: usize) -> Vec<u8> {
    format!("<p:antrag xmlns:p=\"urn:frei\">Antrag {number}</p:antrag>").into_bytes()
}

impl Crowd {
    fn party(&self, name: &str, identifier: &'static str) -> Party {
        Party { checked: false, ..Party::new(&self.gateway, name, identifier) }
    }

    /// Messages in a state that is wanted.
    async fn count(&self, wanted: impl Fn(&str) -> bool) -> u64 {
        let depths = self.gateway.store.depths().await.unwrap();
        let states = depths.iter().flat_map(|depth| &depth.by_state);
        states.filter(|(state, _)| wanted(state)).map(|(_, messages)| messages).sum()
    }

    /// Ids of messages for this client: the next one, or a list as a client makes it that asks for each by id.
    async fn next(&self, party: &Party, by_list: bool) -> Vec<Option<String>> {
        if !by_list {
            return vec![None];
        }
        let listed = party.list("maxListItems=\"20\" ListForm=\"MsgAttributes\"", "").await;
        let ids = listed.envelope.split("<wsa:MessageID xmlns:wsa=\"http://www.w3.org/2005/08/addressing\">");
        ids.skip(1).filter_map(|rest| Some(Some(rest.split_once('<')?.0.to_owned()))).collect()
    }

    fn died(&self) {
        self.book.died.fetch_add(1, Ordering::Relaxed);
    }

    /// One client, until nothing is left or it dies.
    async fn pull(&self, number: usize) {
        let party = self.party("authority", "kop:06534014");
        let death = [Death::Fetching, Death::Holding, Death::Closing][number % 3];
        // Spread over the first half of what falls to each.
        let share = self.contents.len() / CLIENTS;
        let dies_at = (number < DOOMED).then_some(1 + number * share / (2 * DOOMED));
        let (mut count, by_list) = (0, number % 4 == 3);
        loop {
            let before = count;
            for id in self.next(&party, by_list).await {
                let dying = dies_at.is_some_and(|at| count + 1 >= at).then_some(death);
                let asked = Instant::now();
                let Some(said) = ask(&party, id.as_deref(), dying, number).await else { return self.died() };
                let Some(id) = self.received(number, &said, asked) else {
                    if !by_list {
                        // Given back or run out a moment ago, at most.
                        let there = self.count(|state| state == "Available").await > 0;
                        self.book.wrong.fetch_add(usize::from(there), Ordering::Relaxed);
                    }
                    continue;
                };
                count += 1;
                if dying == Some(Death::Holding) {
                    return self.died();
                }
                if dying.is_some() {
                    let within = Duration::from_micros(200 * (number as u64 + 1));
                    if let Ok(said) = tokio::time::timeout(within, party.close(&id)).await {
                        said.good();
                        self.book.closed(&id);
                    }
                    return self.died();
                }
                // A lease that ran out on a slow machine may be somebody else's by now.
                let closed = party.close(&id).await;
                if closed.status == 200 {
                    self.book.closed(&id);
                } else {
                    closed.is("InvalidMessageID", "9070");
                    assert!(asked.elapsed() >= LEASE, "a lease was lost early");
                }
            }
            if count == before {
                if self.count(|state| state != "Closed").await == 0 {
                    return;
                }
                // As a client does that found nothing.
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }

    /// The id of the message that came, and whether it is the right one.
    fn received(&self, client: usize, said: &Said, asked: Instant) -> Option<String> {
        if said.status == 200 && said.has("reasons/NoMatch") {
            return None;
        }
        if said.status != 200 {
            // Somebody else was faster.
            said.is("InvalidMessageID", "9070");
            return None;
        }
        let identification = between(&said.envelope, "MsgIdentification>", "</")?;
        let id = identification.rsplit('>').next().unwrap().to_owned();
        self.book.got(client, &id, asked);
        assert_eq!(said.parts, [payload(self.contents[&id])], "{id}");
        Some(id)
    }

    /// What the store says in the end.
    async fn judge(&self) {
        let mut filter = Filter { limit: 500, ..Filter::default() };
        let mut records: Vec<Arc<Record>> = Vec::new();
        loop {
            let page = self.gateway.store.list(&filter).await.unwrap();
            let Some(last) = page.last() else { break };
            filter.after = Some(last.sequence);
            records.extend(page);
        }
        assert_eq!(records.len(), self.contents.len());
        for record in &records {
            assert_eq!(record.state, State::Closed, "{}", record.id);
            let of = |kind| record.facts.iter().filter(move |fact| fact.kind == kind);
            assert_eq!(of(FactKind::Closed).count(), 1, "{}: {:?}", record.id, record.facts);
            let leases: Vec<_> = of(FactKind::Leased).collect();
            for pair in leases.windows(2) {
                let apart = pair[1].at.0 - pair[0].at.0;
                let given_back =
                    of(FactKind::Released).any(|fact| fact.at >= pair[0].at && fact.at <= pair[1].at);
                let good = given_back || Duration::from_millis(apart) >= LEASE;
                assert!(good, "{}: two leases at once: {:?}", record.id, record.facts);
            }
        }
    }
}

/// Asks for a message; `None` when the client died over it.
async fn ask(party: &Party, id: Option<&str>, dying: Option<Death>, number: usize) -> Option<Said> {
    let fetch = async {
        match id {
            Some(id) => party.fetch(id).await,
            None => party.fetch_next().await,
        }
    };
    if dying != Some(Death::Fetching) {
        return Some(fetch.await);
    }
    // Whenever it is: the connection breaks somewhere on the way.
    let _ = tokio::time::timeout(Duration::from_micros(300 * (number as u64 + 1)), fetch).await;
    None
}

/// Hands in `messages`; ids with the number of their content.
async fn fill(gateway: &Gateway, messages: usize) -> BTreeMap<String, usize> {
    let next = Arc::new(AtomicUsize::new(0));
    let mut tasks = Vec::new();
    for _ in 0..32 {
        let party = Party { checked: false, ..Party::new(gateway, "portal", "psw:portal") };
        let next = next.clone();
        tasks.push(tokio::spawn(async move {
            let mut sent = Vec::new();
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                if number >= messages {
                    return sent;
                }
                let id = party.send(&Order::default(), &[("a.xml", &payload(number))]).await;
                sent.push((id, number));
            }
        }));
    }
    let mut all = BTreeMap::new();
    for task in tasks {
        all.extend(task.await.unwrap());
    }
    all
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_message_is_closed_once_and_held_by_one_however_many_pull_and_die() {
    let folder = tempfile::tempdir().unwrap();
    directory(folder.path());
    let quota = Quota { in_flight: 256, messages_per_minute: 1_000_000, message_octets: 1 << 20 };
    let options =
        Options { quota, directory: Some(folder.path().to_owned()), xta: policies(), ..Options::default() };
    let gateway = Gateway::start(options).await;
    let messages = messages();
    let began = Instant::now();
    let contents = fill(&gateway, messages).await;
    let filled = began.elapsed();
    assert_eq!(contents.len(), messages);
    let crowd = Arc::new(Crowd { gateway, book: Book::default(), contents });
    let began = Instant::now();
    let pulls: Vec<_> = (0..CLIENTS)
        .map(|number| {
            let crowd = crowd.clone();
            tokio::spawn(async move { crowd.pull(number).await })
        })
        .collect();
    for pull in pulls {
        pull.await.unwrap();
    }
    let pulled = began.elapsed();
    assert_eq!(crowd.count(|state| state != "Closed").await, 0);
    crowd.judge().await;
    let rate = |took: Duration| messages as f64 / took.as_secs_f64();
    println!(
        "{messages} messages sent in {filled:.1?} ({:.0}/s), pulled and closed by {CLIENTS} clients in {pulled:.1?} \
         ({:.0}/s); {} died; handed out {}, {} of them again after a lease ran out; closed once each: {messages}; told wrongly that there is nothing: {}",
        rate(filled),
        rate(pulled),
        crowd.book.died.load(Ordering::Relaxed),
        crowd.book.handed.load(Ordering::Relaxed),
        crowd.book.again.load(Ordering::Relaxed),
        crowd.book.wrong.load(Ordering::Relaxed),
    );
    let crowd = Arc::into_inner(crowd).unwrap();
    crowd.gateway.stop().await;
}

//! Random operations on a store and on a plain map must give equal answers, also after stops.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::fixture::*;
use crate::domain::delivery::step;
use crate::domain::{Action, EndpointControl, ParkReason, Record, Timestamp};
use crate::store::{AcceptPort, Acceptance, ChangePort, Filter, ReadPort, Store, StoreError};

/// One operation on message `n`.
#[derive(Clone, Debug)]
enum Op {
    Accept(u64),
    /// The same author and UUID with another document.
    Forge(u64),
    Act(u64, Act),
    /// A change made from an old version.
    Stale(u64),
    Suspend(u64, bool),
    Reopen(Stop),
}

#[derive(Clone, Debug)]
enum Act {
    Claim,
    Close,
    Park,
    Retry,
    Reroute(u64),
    Return,
    Warn,
}

#[derive(Clone, Debug)]
enum Stop {
    Clean,
    Killed,
    WithoutIndex,
}

fn op() -> impl Strategy<Value = Op> {
    let act = prop_oneof![
        Just(Act::Claim),
        Just(Act::Close),
        Just(Act::Park),
        Just(Act::Retry),
        (0..6_u64).prop_map(Act::Reroute),
        Just(Act::Return),
        Just(Act::Warn),
    ];
    let stop = prop_oneof![Just(Stop::Clean), Just(Stop::Killed), Just(Stop::WithoutIndex)];
    prop_oneof![
        4 => (0..12_u64).prop_map(Op::Accept),
        1 => (0..12_u64).prop_map(Op::Forge),
        8 => (0..12_u64, act).prop_map(|(n, act)| Op::Act(n, act)),
        1 => (0..12_u64).prop_map(Op::Stale),
        1 => (0..3_u64, any::<bool>()).prop_map(|(n, on)| Op::Suspend(n, on)),
        1 => stop.prop_map(Op::Reopen),
    ]
}

fn action(act: &Act, record: &Record) -> Action {
    let detail = String::new();
    match act {
        Act::Claim => Action::Claim(claim(record.version, record.changed_at.0 + 50)),
        Act::Close => match &record.state {
            crate::domain::State::Leased { claim } => Action::Close { token: Some(claim.token) },
            _ => Action::Close { token: None },
        },
        Act::Park => Action::Park { reason: ParkReason::Operator, detail },
        Act::Retry => Action::Retry { detail },
        Act::Reroute(n) => Action::Reroute { placement: placement(*n), detail },
        Act::Return => Action::Return { detail },
        Act::Warn => Action::Warn { detail },
    }
}

/// The plain answer to everything.
#[derive(Default)]
struct Model {
    records: BTreeMap<u64, Record>,
    controls: BTreeMap<String, EndpointControl>,
}

impl Model {
    async fn apply(&mut self, store: &Store, op: &Op, now: Timestamp) {
        match op {
            Op::Accept(n) => match (accept(store, *n).await.unwrap(), self.records.get(n)) {
                (Acceptance::New(record), None) => {
                    assert_eq!(record.sequence, self.records.len() as u64 + 1);
                    self.records.insert(*n, Record::clone(&record));
                }
                (Acceptance::Again(record), Some(known)) => assert_eq!(*record, *known),
                (answer, known) => panic!("{answer:?} for {known:?}"),
            },
            Op::Forge(n) => {
                if self.records.contains_key(n) {
                    let forged = store.accept(new_message(*n, b"<forged/>", Vec::new())).await;
                    assert!(matches!(forged, Err(StoreError::IdUsed(used)) if used == id(*n)));
                }
            }
            Op::Act(n, act) => {
                let Some(record) = self.records.get(n) else { return };
                // Not possible is not the store's business.
                let Ok(next) = step(record, action(act, record), now) else { return };
                assert_eq!(*store.commit(next.clone()).await.unwrap(), next);
                self.records.insert(*n, next);
            }
            Op::Stale(n) => {
                let Some(record) = self.records.get(n) else { return };
                let answer = store.commit(record.clone()).await;
                assert!(matches!(answer, Err(StoreError::Conflict)));
            }
            Op::Suspend(n, suspended) => {
                let control = EndpointControl {
                    endpoint: ENDPOINTS[*n as usize].parse().unwrap(),
                    suspended: *suspended,
                    reason: "why".to_owned(),
                    by: "operator".to_owned(),
                    at: now,
                };
                store.control(control.clone()).await.unwrap();
                self.controls.insert(ENDPOINTS[*n as usize].to_owned(), control);
            }
            Op::Reopen(_) => {}
        }
    }

    /// Whether the store tells the same about everything.
    async fn compare(&self, store: &Store, now: Timestamp) {
        let mut records: Vec<&Record> = self.records.values().collect();
        records.sort_by_key(|r| r.sequence);
        assert_eq!(all(store).await.iter().collect::<Vec<_>>(), records);
        let mut controls = store.controls().await.unwrap();
        controls.sort_by(|a, b| a.endpoint.cmp(&b.endpoint));
        assert_eq!(controls, self.controls.values().cloned().collect::<Vec<_>>());
        for endpoint in ENDPOINTS {
            let here: Vec<&&Record> =
                records.iter().filter(|r| r.placement.endpoint.as_str() == endpoint).collect();
            let mut due: Vec<_> =
                here.iter().filter_map(|r| Some((r.state.claimable_at()?, r.sequence))).collect();
            due.sort_unstable();
            let endpoint: crate::domain::EndpointId = endpoint.parse().unwrap();
            assert_eq!(store.next_due(&endpoint).await.unwrap(), due.first().map(|d| d.0));
            due.retain(|(at, _)| *at <= now);
            let told = store.due(&endpoint, now, 100).await.unwrap();
            assert_eq!(told.iter().map(|d| (d.at, d.sequence)).collect::<Vec<_>>(), due);
            let depths = store.depths().await.unwrap();
            let depth = depths.iter().find(|d| d.endpoint == endpoint);
            let mut counts: BTreeMap<&str, u64> = BTreeMap::new();
            here.iter().for_each(|r| *counts.entry(r.state.name()).or_default() += 1);
            assert_eq!(depth.map(|d| d.by_state.clone()).unwrap_or_default(), counts);
            let oldest =
                here.iter().filter(|r| !r.state.is_final()).map(|r| (r.sequence, r.accepted_at)).min();
            assert_eq!(depth.and_then(|d| d.oldest), oldest.map(|o| o.1));
            for state in counts.keys() {
                let filter = Filter {
                    endpoint: Some(endpoint.clone()),
                    state: Some((*state).to_owned()),
                    limit: 100,
                    ..Filter::default()
                };
                assert_eq!(store.list(&filter).await.unwrap().len() as u64, counts[state]);
            }
        }
    }
}

async fn run(ops: Vec<Op>) {
    let mut folder = tempfile::tempdir().unwrap();
    let mut store = open(folder.path()).store;
    let mut model = Model::default();
    for (at, op) in ops.iter().enumerate() {
        let now = Timestamp(10_000 + at as u64 * 40);
        model.apply(&store, op, now).await;
        if let Op::Reopen(stop) = op {
            if matches!(stop, Stop::Clean) {
                store.close().await;
            } else {
                let image = tempfile::tempdir().unwrap();
                copy(folder.path(), image.path());
                if matches!(stop, Stop::WithoutIndex) {
                    std::fs::remove_dir_all(image.path().join("index")).unwrap();
                }
                store.close().await;
                folder = image;
            }
            store = open(folder.path()).store;
            model.compare(&store, now).await;
        }
    }
    model.compare(&store, Timestamp(10_000 + ops.len() as u64 * 40)).await;
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, ..ProptestConfig::default() })]
    #[test]
    fn answers_like_a_plain_map_whatever_happens(ops in prop::collection::vec(op(), 1..60)) {
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(run(ops));
    }
}

//! Records as octets and as keys.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::fixture::*;
use crate::domain::record::{ContentPlace, MAX_FACTS};
use crate::domain::{
    ContentRef, Coverage, Digest, FactKind, Note, Order, ParkReason, Record, RemoteName, State, Terms,
    Timestamp, Waiver,
};
use crate::store::codec::{self, CodecFault};
use crate::store::keys;

fn place() -> impl Strategy<Value = ContentPlace> {
    prop_oneof![
        any::<(u64, u64)>().prop_map(|(segment, offset)| ContentPlace::Segment { segment, offset }),
        any::<u128>().prop_map(|n| ContentPlace::File { name: uuid::Uuid::from_u128(n) }),
    ]
}

fn content() -> impl Strategy<Value = ContentRef> {
    (place(), any::<u64>(), any::<[u8; 32]>()).prop_map(|(place, len, sha256)| ContentRef {
        place,
        len,
        sha256: Digest(sha256),
    })
}

fn delivery_state() -> impl Strategy<Value = State> {
    prop_oneof![
        any::<u64>().prop_map(|due| State::Queued { due: Timestamp(due) }),
        any::<(u64, u64)>().prop_map(|(n, until)| State::Sending { claim: claim(n, until) }),
        Just(State::Delivered),
        Just(State::Available),
        any::<(u64, u64)>().prop_map(|(n, until)| State::Leased { claim: claim(n, until) }),
        Just(State::Closed),
        Just(State::Parked { reason: ParkReason::EndpointGone }),
        Just(State::Returned),
    ]
}

prop_compose! {
    fn record()(
        n in 0..100_u64,
        (version, sequence, at) in any::<(u64, u64, u64)>(),
        (document, receipt) in (content(), content()),
        state in delivery_state(),
        attempts: u32,
        warned: bool,
        details in prop::collection::vec(".{0,40}", 0..MAX_FACTS + 5),
    ) -> Record {
        let mut record = Record {
            version,
            sequence,
            id: id(n),
            account: "portal".parse().unwrap(),
            header: header(n),
            signer: signer(),
            document,
            attachments: Vec::new(),
            receipt,
            placement: placement(n),
            state,
            attempts,
            warned,
            accepted_at: Timestamp(at),
            changed_at: Timestamp(at),
            facts: Vec::new(),
            order: None,
            slot: None,
            coverage: None,
            remote: None,
            facts_dropped: 0,
        };
        details.iter().for_each(|d| record.remember(Timestamp(at), FactKind::Failed, d));
        record
    }
}

/// A later form of `old` with the movable parts of `other`.
fn moved(old: &Record, other: &Record) -> Record {
    Record { state: other.state.clone(), placement: other.placement.clone(), ..old.clone() }
}

fn entries(record: &Record) -> BTreeMap<Vec<u8>, Vec<u8>> {
    keys::fixed(record).into_iter().chain(keys::moving(record)).collect()
}

proptest! {
    #[test]
    fn a_record_comes_back_as_it_was(record in record()) {
        let octets = codec::encode(&record).unwrap();
        prop_assert_eq!(codec::decode(&octets).unwrap(), record.clone());
        prop_assert_eq!(codec::peek(&octets).unwrap().0, record.version);
    }

    #[test]
    fn a_cut_or_flipped_record_is_noticed(record in record(), at: prop::sample::Index, bit in 0..8_u8) {
        let octets = codec::encode(&record).unwrap();
        let at = at.index(octets.len());
        prop_assert!(codec::decode(&octets[..at]).is_err());
        let mut flipped = octets;
        flipped[at] ^= 1_u8 << bit;
        prop_assert!(codec::decode(&flipped).is_err());
    }

    #[test]
    fn changes_leave_no_orphan_keys(first in record(), others in prop::collection::vec(record(), 1..6)) {
        let mut index = BTreeMap::new();
        let mut old: Option<Record> = None;
        for other in others {
            let new = old.as_ref().map_or(first.clone(), |old| moved(old, &other));
            let difference = keys::difference(old.as_ref(), &new);
            for (key, value) in difference.removed {
                prop_assert_eq!(index.remove(&key), Some(value));
            }
            for (key, value) in difference.added {
                prop_assert_eq!(index.insert(key, value), None);
            }
            prop_assert_eq!(&index, &entries(&new));
            old = Some(new);
        }
    }

    #[test]
    fn no_endpoints_keys_lie_among_anothers(a in "[a-z0-9_.-]{1,64}", b in "[a-z0-9_.-]{1,64}", n: u64) {
        prop_assume!(a != b);
        let prefix = keys::Key::of(keys::kind::DUE).text(&a).done();
        prop_assert!(!keys::Key::of(keys::kind::DUE).text(&b).number(n).done().starts_with(&prefix));
    }
}

proptest! {
    #[test]
    fn an_order_and_a_name_are_kept_behind_their_record_and_old_records_are_read(record in record(), rule in ".{0,40}") {
        let old = codec::encode(&record).unwrap();
        // Format, version, postcard, checksum: as before there were orders.
        prop_assert_eq!(&old, &codec::seal(record.version, &record).unwrap());
        prop_assert_eq!(old[0], 1);
        prop_assert_eq!(codec::decode(&old).unwrap().order, None);
        let order = Order {
            envelope: record.receipt.clone(),
            terms: Terms { not_before: Some(Timestamp(5)), ..Terms::default() },
            waiver: Some(Waiver { account: record.account.clone(), rule }),
        };
        let record = Record { order: Some(order), ..record };
        let new = codec::encode(&record).unwrap();
        prop_assert_eq!((new[0], &codec::decode(&new).unwrap()), (2, &record));
        let uris = ["http://www.w3.org/2001/10/xml-exc-c14n#", "http://www.w3.org/2001/04/xmlenc#sha256"];
        let notes = vec![Note::RevocationUnknown];
        let coverage = Some(Coverage::new(Timestamp(7), &uris, Some(Timestamp(6)), notes));
        for order in [None, record.order.clone()] {
            let remote = order.is_none().then(|| RemoteName { server: "x".to_owned(), id: "y".to_owned() });
            let record = Record { order, remote, coverage: coverage.clone(), ..record.clone() };
            let newest = codec::encode(&record).unwrap();
            prop_assert_eq!((newest[0], &codec::decode(&newest).unwrap()), (4, &record));
            prop_assert_eq!(codec::sequence(&newest).unwrap(), record.sequence);
            prop_assert!(newest.len() < old.len() + new.len(), "a few octets more");
        }
        let remote = Some(RemoteName { server: "https://a.example/x".to_owned(), id: "urn:x".to_owned() });
        for record in [Record { remote: remote.clone(), order: None, ..record.clone() }, Record { remote, ..record }] {
            let named = codec::encode(&record).unwrap();
            prop_assert_eq!((named[0], &codec::decode(&named).unwrap()), (3, &record));
            prop_assert_eq!(codec::sequence(&named).unwrap(), record.sequence);
        }
    }
}

#[test]
fn a_newer_format_is_told_from_damage() {
    let mut octets = codec::seal(1, &"text").unwrap();
    octets[0] = 5;
    let split = octets.len() - 4;
    let crc = crc32c::crc32c(&octets[..split]).to_le_bytes();
    octets[split..].copy_from_slice(&crc);
    assert_eq!(codec::peek(&octets), Err(CodecFault::Newer(5)));
}

#[test]
fn state_octets_and_names_agree() {
    let states = [
        State::Queued { due: Timestamp(0) },
        State::Sending { claim: claim(1, 1) },
        State::Delivered,
        State::Available,
        State::Leased { claim: claim(1, 1) },
        State::Closed,
        State::Parked { reason: ParkReason::Refused },
        State::Returned,
        State::Deferred { due: Timestamp(0) },
    ];
    for state in states {
        assert_eq!(keys::STATES[usize::from(keys::state_octet(&state))], state.name());
    }
}

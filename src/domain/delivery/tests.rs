//! The state machine under random sequences of actions, and the cases that matter most by name.

use proptest::prelude::*;

use super::*;
use crate::domain::record::{ContentPlace, MAX_DETAIL, MAX_FACTS};
use crate::domain::{ContentRef, Digest, FactKind, Header, Placement, RemoteName, SignerInfo};

/// A fresh record: accepted at 0, on its way by `way`.
pub(crate) fn record(way: Way, number: u128) -> Record {
    let uuid = uuid::Uuid::from_u128(number);
    let content = ContentRef {
        place: ContentPlace::Segment { segment: 0, offset: 0 },
        len: 0,
        sha256: Digest::default(),
    };
    let mut record = Record {
        version: 1,
        sequence: u64::try_from(number).unwrap_or(u64::MAX),
        id: crate::domain::MessageId::new("test", uuid).unwrap(),
        account: "portal".parse().unwrap(),
        header: Header {
            namespace: "urn:x".into(),
            root: "antrag.einreichen.0100".into(),
            standard: "Antrag".into(),
            version: "1.0".into(),
            type_code: "0100".into(),
            uuid,
            created: "2026-01-01T00:00:00Z".into(),
            author: "prt:1".parse().unwrap(),
            reader: None,
            service: None,
            area: None,
            date: None,
            test: true,
        },
        signer: SignerInfo {
            subject: "CN=test".into(),
            serial: "01".into(),
            fingerprint: Digest::default(),
            not_after: Timestamp(0),
        },
        document: content.clone(),
        attachments: Vec::new(),
        receipt: content,
        placement: placement(way),
        state: State::initial(way, Timestamp(0), Timestamp(0)),
        attempts: 0,
        warned: false,
        accepted_at: Timestamp(0),
        changed_at: Timestamp(0),
        facts: Vec::new(),
        facts_dropped: 0,
        order: None,
        slot: None,
        coverage: None,
        remote: None,
    };
    record.remember(Timestamp(0), FactKind::Accepted, "");
    record
}

/// A placement at the endpoint `push` or `pull`.
pub(crate) fn placement(way: Way) -> Placement {
    let endpoint = if way == Way::Push { "push" } else { "pull" };
    Placement {
        authority: "stadt".parse().unwrap(),
        reader: "kop:06411000".parse().unwrap(),
        endpoint: endpoint.parse().unwrap(),
        way,
        rule: "test".into(),
    }
}

fn claim(token: u128, until: u64) -> Claim {
    Claim { owner: "worker".into(), token: uuid::Uuid::from_u128(token), until: Timestamp(until) }
}

fn far() -> RemoteName {
    RemoteName { server: "https://a.example/send".into(), id: "urn:x:1".into() }
}

fn token(n: u128) -> uuid::Uuid {
    uuid::Uuid::from_u128(n)
}

fn actions() -> impl Strategy<Value = Action> {
    let token = (0_u128..4).prop_map(uuid::Uuid::from_u128);
    let maybe = proptest::option::of(token.clone());
    let at = (0_u64..400).prop_map(Timestamp);
    let detail = prop_oneof![Just(String::new()), "[a-zäß]{0,8}", Just("ü".repeat(999))];
    let way = prop_oneof![Just(Way::Push), Just(Way::Pull)];
    prop_oneof![
        6 => (token.clone(), at.clone()).prop_map(|(token, until)| Action::Claim(Claim {
            owner: "w".into(), token, until
        })),
        2 => (token.clone(), any::<bool>(), detail.clone())
            .prop_map(|(token, taken_over, detail)| Action::Succeeded { token, taken_over, detail }),
        4 => (token.clone(), at.clone(), detail.clone())
            .prop_map(|(token, due, detail)| Action::Failed { token, due, detail }),
        1 => (token.clone(), detail.clone()).prop_map(|(token, detail)| Action::Refused { token, detail }),
        1 => (token.clone(), detail.clone()).prop_map(|(token, detail)| Action::SetAside {
            token, reason: ParkReason::Corrupt, detail
        }),
        2 => (token.clone(), any::<bool>()).prop_map(|(token, named)| Action::Named {
            token, name: named.then(far)
        }),
        2 => (token.clone(), at).prop_map(|(token, until)| Action::Extend { token, until }),
        2 => token.prop_map(|token| Action::Release { token }),
        1 => maybe.clone().prop_map(|token| Action::Close { token }),
        1 => (maybe, detail.clone()).prop_map(|(token, detail)| Action::Reject { token, detail }),
        1 => detail.clone().prop_map(|detail| Action::Park { reason: ParkReason::Operator, detail }),
        2 => detail.clone().prop_map(|detail| Action::Retry { detail }),
        2 => (way, detail.clone()).prop_map(|(way, detail)| Action::Reroute {
            placement: placement(way), detail
        }),
        1 => detail.clone().prop_map(|detail| Action::Return { detail }),
        1 => detail.prop_map(|detail| Action::Warn { detail }),
    ]
}

fn running(state: &State) -> Option<&Claim> {
    match state {
        State::Sending { claim } | State::Leased { claim } => Some(claim),
        _ => None,
    }
}

/// The token that an outcome or a reader's act names, where the action needs one.
fn named(action: &Action) -> Option<uuid::Uuid> {
    match action {
        Action::Succeeded { token, .. }
        | Action::Failed { token, .. }
        | Action::Refused { token, .. }
        | Action::SetAside { token, .. }
        | Action::Named { token, .. }
        | Action::Extend { token, .. }
        | Action::Release { token } => Some(*token),
        _ => None,
    }
}

fn check(before: &Record, action: &Action, now: Timestamp, after: &Record) {
    assert!(!before.state.is_final(), "{action:?} revived {:?}", before.state);
    assert_eq!(after.version, before.version + 1);
    let claims = u32::from(matches!(action, Action::Claim(_)));
    assert_eq!(after.attempts, before.attempts + claims);
    assert!(after.warned >= before.warned);
    assert!(after.facts.len() <= MAX_FACTS);
    assert!(after.facts.iter().all(|fact| fact.detail.chars().count() <= MAX_DETAIL));
    let facts = |r: &Record| r.facts.len() + r.facts_dropped as usize;
    assert!(facts(after) > facts(before), "every change leaves a fact");
    assert_eq!((&after.id, after.sequence, &after.document), (&before.id, before.sequence, &before.document));
    if let Action::Named { name, .. } = action {
        assert_eq!((&after.remote, &after.state), (name, &before.state));
    } else {
        assert_eq!(after.remote, before.remote, "a name stays until another comes");
    }
    let alive = running(&before.state).filter(|claim| !claim.expired(now));
    if claims == 1 {
        assert!(alive.is_none(), "two live claims");
        assert!(before.state.claimable_at().unwrap() <= now);
        assert!(running(&after.state).is_some_and(|claim| !claim.expired(now)));
    }
    if let Some(token) = named(action) {
        assert_eq!(running(&before.state).map(|claim| claim.token), Some(token), "a stale token");
    }
    // Never lost: claimable at some time, or with the authority, or with an operator, or final.
    let resting = matches!(after.state, State::Delivered | State::Parked { .. });
    assert_eq!(after.state.claimable_at().is_none(), resting || after.state.is_final());
    assert!(match after.state {
        State::Queued { .. } | State::Sending { .. } => after.placement.way == Way::Push,
        State::Available | State::Leased { .. } => after.placement.way == Way::Pull,
        _ => true,
    });
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, ..ProptestConfig::default() })]

    #[test]
    fn no_sequence_of_actions_loses_doubles_or_revives_a_message(
        push in any::<bool>(),
        acts in proptest::collection::vec((actions(), 0_u64..40), 1..150),
    ) {
        let mut message = record(if push { Way::Push } else { Way::Pull }, 1);
        let mut now = Timestamp(0);
        for (action, wait) in acts {
            now = Timestamp(now.0 + wait);
            let untouched = message.clone();
            match step(&message, action.clone(), now) {
                Ok(next) => {
                    check(&message, &action, now, &next);
                    message = next;
                }
                Err(why) => {
                    prop_assert_eq!(&untouched, &message);
                    prop_assert_eq!(
                        why == NotPossible::AlreadyClosed,
                        message.state == State::Closed
                            && matches!(action, Action::Close { .. } | Action::Reject { .. })
                    );
                }
            }
        }
    }

    #[test]
    fn a_message_can_be_claimed_from_claimable_at_on_and_not_before(
        push in any::<bool>(), acts in proptest::collection::vec((actions(), 0_u64..40), 0..40),
    ) {
        let mut message = record(if push { Way::Push } else { Way::Pull }, 1);
        let mut now = Timestamp(0);
        for (action, wait) in acts {
            now = Timestamp(now.0 + wait);
            message = step(&message, action, now).unwrap_or(message);
        }
        let fresh = Action::Claim(claim(99, u64::MAX));
        match message.state.claimable_at() {
            None => prop_assert_eq!(step(&message, fresh, Timestamp(1 << 40)), Err(NotPossible::State)),
            Some(at) => {
                prop_assert!(step(&message, fresh.clone(), at).is_ok());
                if at.0 > 0 {
                    prop_assert_eq!(step(&message, fresh, Timestamp(at.0 - 1)), Err(NotPossible::Claimed));
                }
            }
        }
    }
}

#[test]
fn the_way_of_a_pushed_message() {
    let now = Timestamp(10);
    let sending = step(&record(Way::Push, 1), Action::Claim(claim(1, 100)), now).unwrap();
    let failed = Action::Failed { token: token(1), due: Timestamp(50), detail: "HTTP 503".into() };
    let queued = step(&sending, failed, Timestamp(20)).unwrap();
    assert_eq!(queued.state, State::Queued { due: Timestamp(50) });
    let sending = step(&queued, Action::Claim(claim(2, 200)), Timestamp(50)).unwrap();
    let succeeded = |n| Action::Succeeded { token: token(n), taken_over: true, detail: "HTTP 200".into() };
    assert_eq!(step(&sending, succeeded(1), Timestamp(60)), Err(NotPossible::LeaseLost), "stale");
    let closed = step(&sending, succeeded(2), Timestamp(60)).unwrap();
    assert_eq!((closed.state, closed.attempts, closed.version), (State::Closed, 2, 5));
    let kinds: Vec<_> = closed.facts.iter().map(|fact| fact.kind.as_str()).collect();
    assert_eq!(kinds, ["accepted", "sending", "failed", "sending", "delivered", "closed"]);
}

#[test]
fn an_authority_that_is_faster_than_our_own_note_may_close() {
    let fresh = record(Way::Push, 1);
    assert_eq!(step(&fresh, Action::Close { token: None }, Timestamp(1)), Err(NotPossible::State));
    let sending = step(&fresh, Action::Claim(claim(1, 100)), Timestamp(1)).unwrap();
    let closed = step(&sending, Action::Close { token: None }, Timestamp(2)).unwrap();
    assert_eq!(closed.state, State::Closed);
    let answer = Action::Succeeded { token: token(1), taken_over: false, detail: String::new() };
    assert_eq!(step(&closed, answer, Timestamp(3)), Err(NotPossible::LeaseLost));
    let failed = Action::Failed { token: token(1), due: Timestamp(9), detail: "no answer".into() };
    let queued = step(&sending, failed, Timestamp(2)).unwrap();
    let reject = Action::Reject { token: None, detail: "not ours".into() };
    assert_eq!(step(&queued, reject, Timestamp(3)).unwrap().state, State::Returned);
}

#[test]
fn what_an_authority_has_but_never_closes_is_in_the_operators_hands() {
    let sending = step(&record(Way::Push, 1), Action::Claim(claim(1, 10)), Timestamp(1)).unwrap();
    let answered = Action::Succeeded { token: token(1), taken_over: false, detail: "HTTP 202".into() };
    let delivered = step(&sending, answered, Timestamp(2)).unwrap();
    assert_eq!(delivered.state, State::Delivered);
    let again = step(&delivered, Action::Retry { detail: String::new() }, Timestamp(3)).unwrap();
    assert_eq!(again.state, State::Queued { due: Timestamp(3) });
    let aside = Action::Park { reason: ParkReason::Operator, detail: String::new() };
    assert!(matches!(step(&delivered, aside, Timestamp(3)).unwrap().state, State::Parked { .. }));
    assert_eq!(
        step(&delivered, Action::Return { detail: String::new() }, Timestamp(3)).unwrap().state,
        State::Returned
    );
}

#[test]
fn a_claim_that_is_void_from_the_start_is_none() {
    let now = Timestamp(10);
    let void = Action::Claim(claim(1, 10));
    assert_eq!(step(&record(Way::Push, 1), void, now), Err(NotPossible::LeaseLost));
}

#[test]
fn a_lease_that_ran_out_is_noted_and_can_be_taken_by_the_next() {
    let leased = step(&record(Way::Pull, 1), Action::Claim(claim(1, 100)), Timestamp(1)).unwrap();
    assert_eq!(step(&leased, Action::Claim(claim(2, 300)), Timestamp(99)), Err(NotPossible::Claimed));
    let next = step(&leased, Action::Claim(claim(2, 300)), Timestamp(100)).unwrap();
    let kinds: Vec<_> = next.facts.iter().map(|fact| fact.kind.as_str()).collect();
    assert_eq!(kinds, ["accepted", "leased", "released", "leased"]);
    let late = Action::Close { token: Some(token(1)) };
    assert_eq!(step(&next, late, Timestamp(101)), Err(NotPossible::LeaseLost));
}

#[test]
fn what_people_did_outlives_many_attempts() {
    let mut message = record(Way::Push, 1);
    for n in 0..40_u64 {
        message.remember(Timestamp(n), FactKind::Failed, "HTTP 503");
    }
    message.remember(Timestamp(40), FactKind::Retried, "by ops");
    for n in 41..400_u64 {
        message.remember(Timestamp(n), FactKind::Failed, "HTTP 503");
    }
    assert_eq!(message.facts.len(), MAX_FACTS);
    assert_eq!(message.facts_dropped, 400 + 1 - 64);
    assert!(message.facts.iter().any(|fact| fact.kind == FactKind::Retried));
    for n in 0..200_u64 {
        message.remember(Timestamp(n), FactKind::Retried, "by ops");
    }
    assert_eq!(message.facts.len(), MAX_FACTS);
}

#[test]
fn a_mailbox_message_is_held_back_until_its_author_lets_it_out() {
    let at = |due| State::initial(Way::Pull, Timestamp(due), Timestamp(5));
    assert_eq!((at(5), at(6)), (State::Available, State::Deferred { due: Timestamp(6) }));
    let record = Record { state: at(9), ..record(Way::Pull, 1) };
    let claim = |now, until| {
        let claim = Claim { owner: "a".to_owned(), token: uuid::Uuid::nil(), until: Timestamp(until) };
        step(&record, Action::Claim(claim), Timestamp(now))
    };
    assert_eq!(claim(8, 99), Err(NotPossible::Claimed));
    assert!(matches!(claim(9, 99).unwrap().state, State::Leased { .. }));
    assert_eq!(step(&record, Action::Close { token: None }, Timestamp(6)), Err(NotPossible::LeaseLost));
}

//! The mailbox over the real store.

use std::time::Duration;

use super::*;
use crate::deliver::tests::world::{World, account, placement, pull, push};

fn seconds(n: u64) -> Duration {
    Duration::from_secs(n)
}

fn world() -> World {
    World::new(&format!("{}{}{}", push("push", "https://localhost:1/", ""), pull("pull"), pull("other")))
}

fn ids(records: &[Arc<Record>]) -> Vec<MessageId> {
    records.iter().map(|record| record.id.clone()).collect()
}

#[tokio::test]
async fn a_message_is_listed_leased_and_closed() {
    let world = world();
    let mailbox = world.mailbox();
    let kreis = account("kreis", Role::Authority, &["kop:2"]);
    let id = world.laid(1).await;
    let now = Timestamp::now();
    assert_eq!(ids(&mailbox.list(&kreis, 0, 10, now).await.unwrap()), std::slice::from_ref(&id));
    let (record, claim) = mailbox.lease(&kreis, &id, None, now).await.unwrap();
    assert_eq!((claim.until, claim.owner.as_str()), (now.plus(seconds(60)), "kreis"));
    assert_eq!(record.state, State::Leased { claim: claim.clone() });
    assert!(mailbox.list(&kreis, 0, 10, now).await.unwrap().is_empty());
    assert_eq!(mailbox.lease(&kreis, &id, None, now).await.unwrap_err().code, Code::LeaseLost);
    for token in [None, Some(uuid::Uuid::nil())] {
        assert_eq!(mailbox.close(&kreis, &id, token, now).await.unwrap_err().code, Code::LeaseLost);
    }
    let closed = mailbox.close(&kreis, &id, Some(claim.token), now).await.unwrap();
    assert_eq!(closed.state, State::Closed);
    let again = mailbox.close(&kreis, &id, Some(claim.token), now).await.unwrap();
    assert_eq!((again.state.clone(), again.version), (State::Closed, closed.version));
    let late = mailbox.reject(&kreis, &id, Some(claim.token), "", now).await.unwrap_err();
    assert_eq!(late.code, Code::LeaseLost);
}

#[tokio::test]
async fn leases_have_bounds_can_be_lengthened_and_end() {
    let world = world();
    let mailbox = world.mailbox();
    let kreis = account("kreis", Role::Authority, &["ags:2"]);
    let id = world.laid(1).await;
    let now = Timestamp::now();
    let (_, claim) = mailbox.lease(&kreis, &id, Some(Duration::ZERO), now).await.unwrap();
    assert_eq!(claim.until, now.plus(seconds(10)));
    let until = mailbox.extend(&kreis, &id, claim.token, Some(seconds(1 << 40)), now).await.unwrap();
    assert_eq!(until, now.plus(seconds(86_400)));
    let shorter = mailbox.extend(&kreis, &id, claim.token, Some(seconds(10)), now).await.unwrap();
    assert_eq!(shorter, until, "never shorter");
    assert!(mailbox.list(&kreis, 0, 9, until.plus(Duration::ZERO)).await.unwrap().len() == 1, "it ran out");
    let lost = mailbox.extend(&kreis, &id, claim.token, None, until).await.unwrap_err();
    assert_eq!(lost.code, Code::LeaseLost);
    let (_, second) = mailbox.lease(&kreis, &id, None, until).await.unwrap();
    assert_ne!(second.token, claim.token);
    let late = mailbox.close(&kreis, &id, Some(claim.token), until).await.unwrap_err();
    assert_eq!(late.code, Code::LeaseLost, "the lease is somebody else's");
    let freed = mailbox.release(&kreis, &id, second.token, until).await.unwrap();
    assert_eq!(freed.state, State::Available);
    let (_, third) = mailbox.lease(&kreis, &id, None, until).await.unwrap();
    let back = mailbox.reject(&kreis, &id, Some(third.token), &"no\n".repeat(500), until).await.unwrap();
    assert_eq!(back.state, State::Returned);
    assert_eq!(back.facts.last().unwrap().detail.chars().count(), 300);
    let again = mailbox.reject(&kreis, &id, Some(third.token), "no", until).await.unwrap();
    assert_eq!(again.version, back.version);
}

#[tokio::test]
async fn the_author_is_told_that_a_reader_gave_no_reason() {
    let world = world();
    let mailbox = world.mailbox();
    let kreis = account("kreis", Role::Authority, &["kop:2"]);
    let id = world.laid(1).await;
    let now = Timestamp::now();
    let (_, claim) = mailbox.lease(&kreis, &id, None, now).await.unwrap();
    let back = mailbox.reject(&kreis, &id, Some(claim.token), " \n", now).await.unwrap();
    assert_eq!(back.facts.last().unwrap().detail, "the authority gave no reason");
}

#[tokio::test]
async fn what_is_somebody_elses_is_unknown() {
    let world = world();
    let mailbox = world.mailbox();
    let id = world.laid(1).await;
    let now = Timestamp::now();
    let strangers = [
        account("stadt", Role::Authority, &["kop:1"]),
        account("portal", Role::Portal, &["kop:2"]),
        account("ops", Role::Operator, &["kop:2"]),
        account("new", Role::Authority, &["kop:77"]),
    ];
    let missing = "urn:de:xta:messageid:test:00000000-0000-0000-0000-0000000000aa".parse().unwrap();
    let kreis = account("kreis", Role::Authority, &["kop:2"]);
    let nothing = mailbox.lease(&kreis, &missing, None, now).await.unwrap_err();
    let token = uuid::Uuid::nil();
    for stranger in strangers {
        assert!(mailbox.list(&stranger, 0, 10, now).await.unwrap().is_empty());
        assert_eq!(mailbox.lease(&stranger, &id, None, now).await.unwrap_err(), nothing, "the same answer");
        assert_eq!(mailbox.extend(&stranger, &id, token, None, now).await.unwrap_err(), nothing);
        assert_eq!(mailbox.close(&stranger, &id, None, now).await.unwrap_err(), nothing);
        assert_eq!(mailbox.reject(&stranger, &id, None, "", now).await.unwrap_err(), nothing);
    }
    let pushed = world.pushed(2).await;
    let stadt = account("stadt", Role::Authority, &["kop:1"]);
    assert_eq!(mailbox.lease(&stadt, &pushed, None, now).await.unwrap_err().code, Code::LeaseLost);
    assert_eq!(
        mailbox.close(&stadt, &pushed, None, now).await.unwrap_err().code,
        Code::LeaseLost,
        "never sent"
    );
}

#[tokio::test]
async fn listing_is_in_order_of_acceptance_page_by_page_with_expired_leases() {
    let world = world();
    let mailbox = world.mailbox();
    let kreis = account("kreis", Role::Authority, &["kop:2"]);
    let mut laid = Vec::new();
    for n in 0..300 {
        // Every third one lies in the same mailbox for another authority.
        let reader = if n % 3 == 2 { ("land", "kop:3") } else { ("kreis", "kop:2") };
        let to = placement(reader.0, "pull", reader.1, Way::Pull);
        let id = world.accept(n, to, b"<antrag/>", &[], Timestamp::now()).await;
        if n % 3 != 2 {
            laid.push(id);
        }
    }
    let now = Timestamp::now();
    for id in [&laid[1], &laid[150]] {
        mailbox.lease(&kreis, id, Some(seconds(10)), now).await.unwrap();
    }
    let later = now.plus(seconds(10));
    for (at, expected) in [(now, 198), (later, 200)] {
        let (mut all, mut after) = (Vec::new(), 0);
        loop {
            let page = mailbox.list(&kreis, after, 70, at).await.unwrap();
            assert!(page.len() <= 70);
            let Some(last) = page.last() else { break };
            after = last.sequence;
            all.extend(ids(&page));
        }
        assert_eq!(all.len(), expected);
        let want: Vec<_> = laid
            .iter()
            .enumerate()
            .filter(|(n, _)| at == later || (*n != 1 && *n != 150))
            .map(|(_, id)| id.clone())
            .collect();
        assert_eq!(all, want);
    }
}

#[tokio::test]
async fn of_many_readers_one_gets_the_lease() {
    let world = world();
    let mailbox = Arc::new(world.mailbox());
    let id = world.laid(1).await;
    let now = Timestamp::now();
    let readers = (0..16).map(|n| {
        let (mailbox, id) = (mailbox.clone(), id.clone());
        tokio::spawn(async move {
            let reader = account(&format!("kreis-{n}"), Role::Authority, &["kop:2"]);
            mailbox.lease(&reader, &id, None, now).await.is_ok()
        })
    });
    let mut won = 0;
    for reader in readers.collect::<Vec<_>>() {
        won += usize::from(reader.await.unwrap());
    }
    assert_eq!(won, 1);
    assert_eq!(world.record(&id).await.attempts, 1);
}

//! `ObsoleteAfter`: the last day on which a message's author wants it passes while it waits.

use bytes::Bytes;

use super::authority::{Authority, status};
use super::world::{World, account, placement, pull, push};
use crate::deliver::{Deliver, sweep};
use crate::domain::{FactKind, MessageId, Role, State, Terms, Timestamp, Way};
use crate::error::Code;
use crate::store::NewOrder;

const DAY: u64 = 86_400_000;

/// The first moment of a sweep that looks at every message, `days` from now.
fn in_days(days: u64) -> Timestamp {
    Timestamp((Timestamp::now().0 / 600_000) * 600_000 + days * DAY)
}

/// A message whose last day this is.
async fn until(world: &World, n: u64, way: Way, last: Timestamp) -> MessageId {
    let terms = Terms { obsolete_after: Some(last.date()), ..Terms::default() };
    let order = NewOrder { envelope: Bytes::from_static(b"{}"), terms };
    let place = match way {
        Way::Push => placement("stadt", "push", "kop:1", way),
        Way::Pull => placement("kreis", "pull", "kop:2", way),
    };
    world.accept_order(n, place, b"<antrag/>", &[], Timestamp::now(), Some(order)).await
}

#[tokio::test]
async fn a_message_whose_last_day_passes_in_its_mailbox_goes_back_to_its_author() {
    let world = World::new(&format!("{}{}", push("push", "https://localhost:1/", ""), pull("pull")));
    let deliver = Deliver::new(world.parts("gateway-1")).unwrap();
    let (now, later) = (Timestamp::now(), in_days(2));
    let wanted = until(&world, 1, Way::Pull, in_days(1)).await;
    let leased = until(&world, 2, Way::Pull, in_days(1)).await;
    let kept = until(&world, 3, Way::Pull, in_days(9)).await;
    let queued = until(&world, 4, Way::Push, in_days(1)).await;
    let (mailbox, kreis) = (world.mailbox(), account("kreis", Role::Authority, &["kop:2"]));
    assert_eq!(mailbox.list(&kreis, 0, 9, now).await.unwrap().len(), 3);
    mailbox.lease(&kreis, &leased, None, now).await.unwrap();
    sweep::round(&deliver.shared, in_days(0)).await.unwrap();
    assert_eq!(world.record(&wanted).await.state, State::Available, "its day has not passed");
    // The day has passed, and no sweep has been there yet: nobody gets it any more.
    let there: Vec<_> = mailbox.list(&kreis, 0, 9, later).await.unwrap();
    assert_eq!(there.iter().map(|record| &record.id).collect::<Vec<_>>(), [&kept]);
    let refused = mailbox.lease(&kreis, &wanted, None, later).await.unwrap_err();
    assert!(refused.code == Code::LeaseLost && refused.reason.contains("last day"), "{refused}");
    sweep::round(&deliver.shared, later).await.unwrap();
    for id in [&wanted, &leased, &queued] {
        let record = world.record(id).await;
        assert_eq!(record.state, State::Returned);
        let fact = record.facts.last().unwrap();
        assert!(fact.kind == FactKind::Returned && fact.detail.contains("last day"), "{fact:?}");
    }
    assert_eq!(world.record(&kept).await.state, State::Available);
}

#[tokio::test]
async fn a_message_whose_last_day_has_passed_is_not_sent_any_more() {
    let world = World::new("");
    let authority = Authority::start(&world, |_| status(201)).await;
    world.set(&push("push", &authority.url(), ""));
    let late = until(&world, 1, Way::Push, Timestamp(Timestamp::now().0 - 2 * DAY)).await;
    let good = until(&world, 2, Way::Push, in_days(1)).await;
    let running = world.start();
    world.until(&good, "Closed").await;
    world.until(&late, "Returned").await;
    assert_eq!(authority.seen().len(), 1, "only the one that is still wanted");
    running.stopped().await;
}

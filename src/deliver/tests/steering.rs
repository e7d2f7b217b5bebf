//! Operators' verbs.

use std::time::Duration;

use super::world::{World, placement, pull, push};
use crate::domain::{Action, Claim, ParkReason, State, Timestamp, Way};
use crate::error::Code;

fn claim(now: Timestamp) -> Claim {
    Claim { owner: "w".into(), token: uuid::Uuid::new_v4(), until: now.plus(Duration::from_secs(9)) }
}

#[tokio::test]
async fn verbs_work_on_idle_messages_and_say_why_not_on_others() {
    let world = World::new(&format!("{}{}", push("push", "https://localhost:1/", ""), pull("pull")));
    let steer = world.steer();
    let now = Timestamp::now();
    let id = world.pushed(1).await;
    let parked = steer.park(&id, "ops", "wait\u{7} for the phone", now).await.unwrap();
    assert_eq!(parked.state, State::Parked { reason: ParkReason::Operator });
    assert_eq!(parked.facts.last().unwrap().detail, "ops: wait for the phone");
    assert_eq!(steer.park(&id, "ops", "", now).await.unwrap().version, parked.version, "already parked");
    let queued = steer.retry(&id, "ops", "go", now).await.unwrap();
    assert_eq!(queued.state, State::Queued { due: now });

    world.act(&id, Action::Claim(claim(now)), now).await;
    let refused = steer.park(&id, "ops", "", now).await.unwrap_err();
    assert_eq!(refused.code, Code::LeaseLost);
    assert!(refused.reason.contains("being sent"), "{refused}");
    let later = now.plus(Duration::from_secs(10));
    steer.park(&id, "ops", "", later).await.unwrap();

    let nobody = "urn:de:xta:messageid:test:00000000-0000-0000-0000-000000000099".parse().unwrap();
    assert_eq!(steer.retry(&nobody, "ops", "", now).await.unwrap_err().code, Code::UnknownMessage);
    let nowhere = "nowhere".parse().unwrap();
    let refused = steer.suspend(&nowhere, true, "ops", "", now).await.unwrap_err();
    assert_eq!(refused.code, Code::UnknownMessage);
}

#[tokio::test]
async fn rerouting_follows_the_reader_or_the_directory() {
    let world = World::new(&format!("{}{}", push("push", "https://localhost:1/", ""), pull("pull")));
    let steer = world.steer();
    let now = Timestamp::now();
    let id = world.pushed(1).await;
    let kreis = "ags:2".parse().unwrap();
    let record = steer.reroute(&id, Some(&kreis), "ops", "moved", now).await.unwrap();
    assert_eq!(record.state, State::Available);
    let to = &record.placement;
    assert_eq!((to.endpoint.as_str(), to.way, to.reader.as_str()), ("pull", Way::Pull, "ags:2"));

    let unknown = "kop:99".parse().unwrap();
    let refused = steer.reroute(&id, Some(&unknown), "ops", "", now).await.unwrap_err();
    assert_eq!(refused.code, Code::NobodyCompetent);
    let dorf = "kop:4".parse().unwrap();
    let refused = steer.reroute(&id, Some(&dorf), "ops", "", now).await.unwrap_err();
    assert_eq!(refused.code, Code::NotConnected);
    // This message names neither reader nor service, so the directory has nothing to go by.
    let refused = steer.reroute(&id, None, "ops", "", now).await.unwrap_err();
    assert_eq!(refused.code, Code::SchemaInvalid);
    let stored = world.record(&id).await;
    assert_eq!(stored.placement, placement_at_pull());
}

fn placement_at_pull() -> crate::domain::Placement {
    let rule = "set by an operator".into();
    crate::domain::Placement { rule, ..placement("kreis", "pull", "ags:2", Way::Pull) }
}

//! When messages are sent, and when they are not.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;

use super::authority::{Answer, Authority, status};
use super::world::{World, details, eventually, is_queued, placement, pull, push, run};
use crate::domain::{Action, Claim, EndpointControl, ParkReason, Record, State, Timestamp, Way};
use crate::store::{ChangePort, ReadPort, StoreError};

#[tokio::test]
async fn a_claim_that_outlived_its_process_is_honoured_until_it_ends() {
    let world = World::new("");
    let authority = Authority::start(&world, |_| status(200)).await;
    world.set(&push("push", &authority.url(), ""));
    let id = world.pushed(1).await;
    let now = Timestamp::now();
    let until = now.plus(Duration::from_millis(900));
    let claim = Claim { owner: "killed".into(), token: uuid::Uuid::new_v4(), until };
    world.act(&id, Action::Claim(claim), now).await;
    let _running = world.start();
    let record = world.until(&id, "Closed").await;
    let seen = authority.seen();
    assert_eq!((seen.len(), record.attempts), (1, 2));
    assert!(seen[0].at >= until, "sent {:?} too early", until.since(seen[0].at));
    assert!(seen[0].at.since(until) < Duration::from_secs(4), "the end of a claim is waited for, not polled");
    assert!(details(&record).contains("released claim ran out"));
}

#[tokio::test]
async fn two_workers_on_one_store_send_each_message_once() {
    let world = World::new("");
    let slow = Answer::Later(Duration::from_millis(10), Box::new(status(200)));
    let authority = Authority::start(&world, move |_| slow.clone()).await;
    world.set(&push("push", &authority.url(), ""));
    let mut ids = Vec::new();
    for n in 0..40 {
        ids.push(world.pushed(n).await);
    }
    let running = [run(world.parts("one")), run(world.parts("two"))];
    for n in 40..60 {
        ids.push(world.pushed(n).await);
    }
    for id in &ids {
        let record = world.until(id, "Closed").await;
        assert_eq!(record.attempts, 1, "{}", details(&record));
    }
    assert_eq!(authority.count(), ids.len());
    assert!(!authority.doubled());
    assert!(authority.most() > 1, "attempts go out side by side");
    for running in running {
        running.stopped().await;
    }
}

#[tokio::test]
async fn the_breaker_opens_on_a_dead_authority_and_closes_when_it_lives_again() {
    let world = World::new("");
    let authority = Authority::start(&world, |_| status(503)).await;
    let table = push("push", &authority.url(), "").replace("80ms", "700ms");
    world.set(&table);
    let mut ids = Vec::new();
    for n in 0..30 {
        ids.push(world.pushed(n).await);
    }
    let running = world.start();
    let endpoint = "push".parse().unwrap();
    let breaker = || running.deliver.condition(&endpoint).map(|condition| condition.breaker);
    eventually("it never opened", || breaker() == Some("open")).await;
    let sent = authority.count();
    assert!(sent < 15, "{sent} attempts before it opened");
    eventually("no probe", || authority.count() >= sent + 4).await;
    assert!(authority.count() < 30, "{} attempts while open", authority.count());
    authority.now_answers(|_| status(200));
    for id in &ids {
        world.until(id, "Closed").await;
    }
    assert_eq!(breaker(), Some("closed"));
    assert!(!authority.doubled());
}

#[tokio::test]
async fn a_suspended_endpoint_gets_nothing_until_it_is_resumed() {
    let world = World::new("");
    let authority = Authority::start(&world, |_| status(200)).await;
    let other = Authority::start(&world, |_| status(200)).await;
    world.set(&format!("{}{}", push("push", &authority.url(), ""), push("other", &other.url(), "")));
    let steer = world.steer();
    let endpoint = "push".parse().unwrap();
    steer.suspend(&endpoint, true, "ops", "maintenance", Timestamp::now()).await.unwrap();
    let held = world.pushed(1).await;
    let to = placement("land", "other", "kop:3", Way::Push);
    let free = world.accept(2, to, b"<antrag/>", &[], Timestamp::now()).await;
    let running = world.start();
    world.until(&free, "Closed").await;
    assert_eq!((authority.count(), is_queued(&*world.record(&held).await)), (0, true));
    let control = world.store.controls().await.unwrap().remove(0);
    assert_eq!(
        (control.suspended, control.reason.as_str(), control.by.as_str()),
        (true, "maintenance", "ops")
    );
    steer.suspend(&endpoint, false, "ops", "", Timestamp::now()).await.unwrap();
    running.deliver.wake();
    world.until(&held, "Closed").await;
}

#[tokio::test]
async fn an_endpoint_that_hangs_does_not_hold_up_the_others() {
    let world = World::new("");
    let dead = Authority::start(&world, |_| Answer::Hang).await;
    let alive = Authority::start(&world, |_| status(200)).await;
    let slow = push("push", &dead.url(), "").replace("\"1s\"", "\"60s\"");
    world.set(&format!("{slow}{}", push("other", &alive.url(), "")));
    for n in 0..50 {
        world.pushed(n).await;
    }
    let running = world.start();
    eventually("nothing was sent", || dead.count() > 0).await;
    for n in 100..110 {
        let to = placement("land", "other", "kop:3", Way::Push);
        let id = world.accept(n, to, b"<antrag/>", &[], Timestamp::now()).await;
        world.until(&id, "Closed").await;
    }
    assert!(dead.most() <= 8, "the endpoint's concurrency is its bound");
    drop(running);
}

#[tokio::test]
async fn stopping_waits_for_what_is_in_flight_and_starts_nothing_more() {
    let world = World::new("");
    let slow = Answer::Later(Duration::from_millis(300), Box::new(status(200)));
    let authority = Authority::start(&world, move |_| slow.clone()).await;
    world.set(&push("push", &authority.url(), "concurrency = 1"));
    let (first, second) = (world.pushed(1).await, world.pushed(2).await);
    let running = world.start();
    eventually("it never came", || authority.count() == 1).await;
    running.stopped().await;
    assert_eq!(world.record(&first).await.state, State::Closed);
    let record = world.record(&second).await;
    assert_eq!((is_queued(&record), record.attempts), (true, 0));
    assert_eq!(authority.count(), 1);
}

#[tokio::test]
async fn messages_of_a_vanished_endpoint_are_parked_and_go_on_when_it_is_back() {
    let world = World::new("");
    let authority = Authority::start(&world, |_| status(200)).await;
    let (id, laid) = (world.pushed(1).await, world.laid(2).await);
    let running = world.start();
    let gone = State::Parked { reason: ParkReason::EndpointGone };
    assert_eq!(world.until(&id, "Parked").await.state, gone);
    assert_eq!(world.until(&laid, "Parked").await.state, gone);
    let refused = world.steer().retry(&id, "ops", "", Timestamp::now()).await.unwrap_err();
    assert!(refused.reason.contains("reroute it instead"), "{refused}");
    world.set(&format!("{}{}", push("push", &authority.url(), ""), pull("pull")));
    running.deliver.wake();
    world.until(&id, "Closed").await;
    world.until(&laid, "Available").await;
}

#[tokio::test]
async fn an_endpoint_that_becomes_a_mailbox_keeps_its_messages() {
    let world = World::new("");
    let authority = Authority::start(&world, |_| status(503)).await;
    world.set(&push("push", &authority.url(), ""));
    let id = world.pushed(1).await;
    let running = world.start();
    world.until_that(&id, |record| record.attempts > 0).await;
    world.set(&pull("push"));
    running.deliver.wake();
    // An attempt may be in flight at the swap; its message is met again in a later round.
    let sweeping = async {
        loop {
            running.deliver.wake();
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::select! {
        record = world.until(&id, "Available") => assert_eq!(record.placement.way, Way::Pull),
        () = sweeping => {}
    }
}

#[tokio::test]
async fn old_messages_are_warned_about_and_then_go_back() {
    let day = Duration::from_secs(86_400);
    let world = World::new("");
    let authority = Authority::start(&world, |_| status(500)).await;
    world.set(&format!("{}{}", push("push", &authority.url(), ""), pull("pull")));
    let ago = |days: u32| Timestamp(Timestamp::now().0 - u64::try_from((day * days).as_millis()).unwrap());
    let to_push = || placement("stadt", "push", "kop:1", Way::Push);
    let to_pull = || placement("kreis", "pull", "kop:2", Way::Pull);
    let old = world.accept(1, to_push(), b"<antrag/>", &[], ago(15)).await;
    let late = world.accept(2, to_push(), b"<antrag/>", &[], ago(4)).await;
    let forgotten = world.accept(3, to_pull(), b"<antrag/>", &[], ago(15)).await;
    let waiting = world.accept(4, to_pull(), b"<antrag/>", &[], ago(4)).await;
    let fresh = world.accept(5, to_pull(), b"<antrag/>", &[], ago(1)).await;
    let _running = world.start();
    let record = world.until(&old, "Returned").await;
    assert!(authority.count() > 0 && record.attempts > 0, "it gets its last try: {}", details(&record));
    world.until(&forgotten, "Returned").await;
    let record = world.until_that(&late, |record| record.warned).await;
    assert!(!record.state.is_final() && details(&record).contains("warned not taken over for 4 days"));
    let record = world.until_that(&waiting, |record| record.warned).await;
    assert_eq!(record.state, State::Available);
    assert!(!world.record(&fresh).await.warned);
}

/// A store that fails now and then.
struct Moody {
    store: Arc<dyn ChangePort>,
    calls: AtomicUsize,
}

#[async_trait]
impl ChangePort for Moody {
    async fn commit(&self, next: Record) -> Result<Arc<Record>, StoreError> {
        match self.calls.fetch_add(1, Ordering::Relaxed) % 5 {
            0 => Err(StoreError::Conflict),
            2 => Err(StoreError::Io { what: "test".into(), source: std::io::ErrorKind::Other.into() }),
            _ => self.store.commit(next).await,
        }
    }

    async fn control(&self, control: EndpointControl) -> Result<(), StoreError> {
        self.store.control(control).await
    }
}

#[tokio::test]
async fn a_moody_store_costs_time_but_no_message() {
    let world = World::new("");
    let authority = Authority::start(&world, |_| status(200)).await;
    world.set(&push("push", &authority.url(), ""));
    let mut parts = world.parts("one");
    parts.change = Arc::new(Moody { store: world.store.clone(), calls: AtomicUsize::new(0) });
    let mut ids = Vec::new();
    for n in 0..8 {
        ids.push(world.pushed(n).await);
    }
    let _running = run(parts);
    for id in &ids {
        assert_eq!(world.until(id, "Closed").await.attempts, 1);
    }
    assert_eq!(authority.count(), ids.len());
}

#[tokio::test]
async fn faulty_settings_hold_messages_and_say_why() {
    let world = World::new("");
    let authority = Authority::start(&world, |_| status(200)).await;
    world.set(&push("push", &authority.url(), "ca = \"missing.pem\""));
    let id = world.pushed(1).await;
    let running = world.start();
    let endpoint = "push".parse().unwrap();
    let fault = || running.deliver.condition(&endpoint).and_then(|condition| condition.fault);
    eventually("no fault", || fault().is_some_and(|fault| fault.contains("missing.pem"))).await;
    world.set(&push("push", &authority.url(), ""));
    running.deliver.wake();
    assert_eq!(world.until(&id, "Closed").await.attempts, 1);
    assert_eq!(fault(), None);
}

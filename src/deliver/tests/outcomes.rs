//! What becomes of a message, by what the authority does.

use std::os::unix::fs::FileExt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use base64::Engine;

use super::authority::{Answer, Authority, Seen, status};
use super::world::{World, account, details, is_queued, placement, push};
use crate::domain::{ParkReason, Role, State, Timestamp, Way};

fn say(code: u16, headers: &[(&'static str, &str)], body: &str) -> Answer {
    let headers = headers.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
    Answer::Say(code, headers, body.to_owned())
}

#[tokio::test]
async fn an_authority_that_fails_first_gets_the_same_octets_under_the_same_key_until_it_accepts() {
    for world in World::both() {
        let authority = Authority::start(&world, |seen| match seen.attempt() {
            1 => say(503, &[("retry-after", "0")], "later"),
            2 => Answer::Reset,
            3 => Answer::Hang,
            4 => status(429),
            _ => status(201),
        })
        .await;
        world.set(&push("push", &authority.url(), ""));
        let id = world.pushed(1).await;
        let running = world.start();
        let record = world.until(&id, "Closed").await;
        assert_eq!(record.attempts, 5, "{}", details(&record));
        let seen = authority.seen();
        let attempts: Vec<_> = seen.iter().map(Seen::attempt).collect();
        assert_eq!(attempts, [1, 2, 3, 4, 5]);
        for request in &seen {
            assert_eq!(request.header("idempotency-key"), id.as_str());
            assert_eq!(request.header("amtsweg-message-id"), id.as_str());
            assert_eq!(request.header("amtsweg-reader"), "kop:1");
            assert_eq!(request.header("content-type"), "application/xml");
            assert_eq!(request.path, "/eingang");
            assert_eq!(&request.body[..], b"<antrag/>");
            let receipt = base64::engine::general_purpose::STANDARD.decode(request.header("amtsweg-receipt"));
            assert_eq!(receipt.unwrap(), b"<quittung/>");
        }
        let told = details(&record);
        for words in
            ["failed HTTP 503", "failed no answer in time", "failed HTTP 429", "delivered HTTP 201", "closed"]
        {
            assert!(told.contains(words), "{words} is not in\n{told}");
        }
        assert!(!authority.doubled());
        running.stopped().await;
    }
}

#[tokio::test]
async fn retry_after_is_waited_for_within_the_bound() {
    let world = World::new("");
    let authority = Authority::start(&world, |seen| match seen.attempt() {
        1 => say(503, &[("retry-after", "1")], ""),
        2 => say(503, &[("retry-after", "86400")], ""),
        _ => status(200),
    })
    .await;
    let table = push("push", &authority.url(), "").replace("80ms", "1200ms");
    world.set(&table);
    let id = world.pushed(1).await;
    let _running = world.start();
    world.until(&id, "Closed").await;
    let seen = authority.seen();
    assert!(seen[1].at.since(seen[0].at) >= Duration::from_millis(990), "asked for a second");
    let capped = seen[2].at.since(seen[1].at);
    assert!(capped >= Duration::from_millis(1190), "{capped:?}: asked for more than the bound");
    assert!(capped < Duration::from_secs(20), "{capped:?}");
}

#[tokio::test]
async fn a_refusal_parks_with_the_authoritys_words_but_without_the_messages() {
    let world = World::new("");
    let authority = Authority::start(&world, |_| {
        let problem = "<problem><title>Nicht lesbar</title><detail>vorname \u{7}J\u{fc}rgen, 01.02.1980 fehlt</detail></problem>";
        say(400, &[("content-type", "application/problem+xml")], problem)
    })
    .await;
    world.set(&push("push", &authority.url(), ""));
    let document = "<antrag><vorname>J\u{fc}rgen</vorname></antrag>".as_bytes();
    let to = placement("stadt", "push", "kop:1", Way::Push);
    let id = world.accept(1, to, document, &[], Timestamp::now()).await;
    let _running = world.start();
    let record = world.until(&id, "Parked").await;
    assert_eq!(record.state, State::Parked { reason: ParkReason::Refused });
    let fact = record.facts.last().unwrap();
    assert_eq!(fact.detail, "HTTP 400: Nicht lesbar vorname …, ….….… fehlt");
    assert_eq!(authority.count(), 1);
}

#[tokio::test]
async fn redirects_are_not_followed() {
    let world = World::new("");
    let elsewhere = Authority::start(&world, |_| status(200)).await;
    let target = elsewhere.url();
    for (n, code) in [(1, 301), (2, 302), (3, 307), (4, 308)] {
        let target = target.clone();
        let authority = Authority::start(&world, move |_| say(code, &[("location", &target)], "")).await;
        world.set(&push("push", &authority.url(), ""));
        let id = world.pushed(n).await;
        let running = world.start();
        let record = world.until(&id, "Parked").await;
        assert!(details(&record).contains("redirects are not followed"), "{}", details(&record));
        running.stopped().await;
    }
    assert_eq!(elsewhere.count(), 0);
}

#[tokio::test]
async fn a_conflict_that_names_the_message_is_a_delivery_and_any_other_is_a_refusal() {
    let world = World::new("");
    let authority = Authority::start(&world, |seen| {
        let id = seen.header("amtsweg-message-id");
        match seen.header("amtsweg-message-id").chars().last() {
            Some('2') => say(409, &[("amtsweg-message-id", id)], ""),
            Some('3') => {
                say(409, &[("content-type", "application/problem+json")], &format!("{{\"id\":\"{id}\"}}"))
            }
            Some('4') => say(409, &[("amtsweg-message-id", id), ("amtsweg-taken-over", "false")], ""),
            _ => say(409, &[("amtsweg-message-id", "urn:de:xta:messageid:x:1")], "another one"),
        }
    })
    .await;
    world.set(&push("push", &authority.url(), ""));
    let mut ids = Vec::new();
    for n in 1..=4 {
        ids.push(world.pushed(n).await);
    }
    let _running = world.start();
    // The number at the end of an id is one more than that of the message.
    world.until(&ids[0], "Closed").await;
    world.until(&ids[1], "Closed").await;
    world.until(&ids[2], "Delivered").await;
    world.until(&ids[3], "Parked").await;
}

#[tokio::test]
async fn an_authority_that_answers_202_closes_or_rejects_later() {
    let world = World::new("");
    let authority = Authority::start(&world, |_| status(202)).await;
    world.set(&push("push", &authority.url(), ""));
    let (first, second) = (world.pushed(1).await, world.pushed(2).await);
    let _running = world.start();
    world.until(&first, "Delivered").await;
    world.until(&second, "Delivered").await;
    let mailbox = world.mailbox();
    let now = Timestamp::now();
    let stadt = account("stadt", Role::Authority, &["kop:1"]);
    let other = account("kreis", Role::Authority, &["kop:2"]);
    let refused = mailbox.close(&other, &first, None, now).await.unwrap_err();
    assert_eq!(refused.code, crate::error::Code::UnknownMessage);
    assert_eq!(mailbox.close(&stadt, &first, None, now).await.unwrap().state, State::Closed);
    assert_eq!(mailbox.close(&stadt, &first, None, now).await.unwrap().state, State::Closed, "again");
    let returned = mailbox.reject(&stadt, &second, None, "not ours", now).await.unwrap();
    assert_eq!(returned.state, State::Returned);
    assert_eq!(returned.facts.last().unwrap().detail, "not ours");
}

#[tokio::test]
async fn an_authority_may_close_while_the_answer_is_still_on_its_way() {
    let world = World::new("");
    let slow = Answer::Later(Duration::from_millis(400), Box::new(status(202)));
    let authority = Authority::start(&world, move |_| slow.clone()).await;
    world.set(&push("push", &authority.url(), ""));
    let id = world.pushed(1).await;
    let running = world.start();
    super::world::eventually("it never came", || authority.count() == 1).await;
    let stadt = account("stadt", Role::Authority, &["kop:1"]);
    world.mailbox().close(&stadt, &id, None, Timestamp::now()).await.unwrap();
    running.stopped().await;
    let record = world.record(&id).await;
    assert_eq!((record.state.name(), record.attempts), ("Closed", 1));
}

#[tokio::test]
async fn attachments_come_as_multipart_in_order_and_octet_by_octet() {
    for world in World::both() {
        let authority = Authority::start(&world, |_| status(200)).await;
        world.set(&push("push", &authority.url(), "").replace("\"1s\"", "\"20s\""));
        let large: Vec<u8> = (0..1_500_000_u32).map(|n| (n % 251) as u8).collect();
        let to = placement("stadt", "push", "kop:1", Way::Push);
        let id = world.accept(1, to, b"<antrag>x</antrag>", &[b"small", &large, b""], Timestamp::now()).await;
        let _running = world.start();
        world.until(&id, "Closed").await;
        let seen = authority.seen().remove(0);
        let kind = seen.header("content-type").to_owned();
        assert!(kind.starts_with("multipart/related; boundary="), "{kind}");
        let boundary = kind.split("boundary=").nth(1).unwrap().split(';').next().unwrap().to_owned();
        let text = String::from_utf8_lossy(&seen.body[..300]);
        assert!(text.contains("Content-ID: <document>\r\n\r\n<antrag>x</antrag>\r\n--"), "{text}");
        let mut expected = Vec::new();
        for (at, content) in [&b"small"[..], &large, b""].iter().enumerate() {
            expected.extend_from_slice(
                format!(
                    "\r\n--{boundary}\r\nContent-Type: application/pdf\r\nContent-ID: <attachment-{}>\r\n\
                 Content-Disposition: attachment; filename*=UTF-8''Anlage%20{at}%20%C3%BC.pdf\r\n\r\n",
                    at + 1
                )
                .as_bytes(),
            );
            expected.extend_from_slice(content);
        }
        expected.extend_from_slice(format!("\r\n--{boundary}--\r\n").as_bytes());
        assert!(seen.body.ends_with(&expected));
    }
}

#[tokio::test]
async fn an_answer_before_the_message_was_sent_is_believed_only_if_it_is_a_refusal() {
    for world in World::both() {
        let authority = Authority::start(&world, |_| status(200)).await;
        world.set(&push("push", &authority.url(), "").replace("\"1s\"", "\"20s\""));
        let large = vec![1_u8; 20_000_000];
        let to = || placement("stadt", "push", "kop:1", Way::Push);
        *authority.early.lock().unwrap() = Some(413);
        let refused = world.accept(1, to(), b"<antrag/>", &[&large], Timestamp::now()).await;
        let running = world.start();
        let record = world.until(&refused, "Parked").await;
        assert!(details(&record).contains("HTTP 413"), "{}", details(&record));
        running.stopped().await;
        *authority.early.lock().unwrap() = Some(200);
        let lied = world.accept(2, to(), b"<antrag/>", &[&large], Timestamp::now()).await;
        let _running = world.start();
        let record = world.until_that(&lied, |record| record.attempts > 1 || record.state.is_final()).await;
        // Either the answer is seen and not believed, or the breaking connection hides it.
        let first: Vec<_> =
            record.facts.iter().filter(|fact| fact.attempt == 1).map(|fact| fact.kind.as_str()).collect();
        assert_eq!(first, ["sending", "failed"], "{}", details(&record));
    }
}

#[tokio::test]
async fn corrupt_content_is_parked_and_never_arrives_whole() {
    for world in World::both() {
        let authority = Authority::start(&world, |_| status(200)).await;
        world.set(&push("push", &authority.url(), ""));
        let large = vec![7_u8; 400_000];
        let to = placement("stadt", "push", "kop:1", Way::Push);
        let bad = world.accept(1, to, b"<antrag/>", &[&large], Timestamp::now()).await;
        spoil(&world, &large);
        let good = world.pushed(2).await;
        let _running = world.start();
        let record = world.until(&bad, "Parked").await;
        assert_eq!(record.state, State::Parked { reason: ParkReason::Corrupt });
        world.until(&good, "Closed").await;
        assert!(authority.seen().iter().all(|seen| seen.header("idempotency-key") == good.as_str()));
    }
}

#[tokio::test]
async fn a_message_whose_key_is_lost_is_parked_before_anything_of_it_is_sent() {
    let mut world = World::new("");
    world.encrypt();
    let authority = Authority::start(&world, |_| status(200)).await;
    world.set(&push("push", &authority.url(), ""));
    let (bad, good) = (world.pushed(1).await, world.pushed(2).await);
    let slot = world.record(&bad).await.slot.unwrap();
    let slots = world.folder.path().join("sealed/vault/000001.slots");
    let file = std::fs::File::options().write(true).open(slots).unwrap();
    file.write_all_at(&[0; 64], slot * 64).unwrap();
    let running = world.start();
    let record = world.until(&bad, "Parked").await;
    assert_eq!(record.state, State::Parked { reason: ParkReason::Corrupt });
    assert!(details(&record).contains("its key is lost"), "{}", details(&record));
    world.until(&good, "Closed").await;
    assert!(authority.seen().iter().all(|seen| seen.header("idempotency-key") == good.as_str()));
    drop(running);
}

/// Changes the last octet of the file that holds `content`.
pub(super) fn spoil(world: &World, content: &[u8]) {
    let spoiled = AtomicUsize::new(0);
    for entry in walk(world.folder.path()) {
        let Ok(mut octets) = std::fs::read(&entry) else { continue };
        if octets.len() == content.len() && octets == content {
            *octets.last_mut().unwrap() ^= 1;
            std::fs::write(&entry, octets).unwrap();
            spoiled.fetch_add(1, Ordering::Relaxed);
        }
    }
    assert_eq!(spoiled.load(Ordering::Relaxed), 1);
}

fn walk(folder: &std::path::Path) -> Vec<std::path::PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { found.extend(walk(&path)) } else { found.push(path) }
    }
    found
}

#[tokio::test]
async fn private_addresses_are_refused_by_name_and_by_number() {
    let mut world = World::new("");
    world.allow_private = false;
    let authority = Authority::start(&world, |_| status(200)).await;
    let port = authority.address.port();
    for (n, host) in ["localhost", "127.0.0.1", "[::1]", "[::ffff:127.0.0.1]"].into_iter().enumerate() {
        world.set(&push("push", &format!("https://{host}:{port}/"), ""));
        let id = world.pushed(n as u64).await;
        let running = world.start();
        let record = world.until_that(&id, |record| record.attempts > 0 && is_queued(record)).await;
        assert!(details(&record).contains("is not public"), "{host}: {}", details(&record));
        running.stopped().await;
        let parked = world.steer().park(&id, "ops", "done", Timestamp::now()).await;
        assert!(parked.is_ok(), "{parked:?}");
    }
    assert_eq!(authority.count(), 0);
}

#[tokio::test]
async fn a_server_that_our_anchors_do_not_vouch_for_gets_nothing() {
    let world = World::new("");
    let stranger = World::new("");
    let authority = Authority::start(&stranger, |_| status(200)).await;
    world.set(&push("push", &authority.url(), ""));
    let id = world.pushed(1).await;
    let _running = world.start();
    let record = world.until_that(&id, |record| record.attempts > 1).await;
    assert!(details(&record).contains("failed TLS: invalid peer certificate"), "{}", details(&record));
    assert_eq!(authority.count(), 0);
}

//! What a request may cost, and what a selector may say: each bound with its answer.

use amtsweg::domain::{Demand, Quota};
use amtsweg::front::Limits;
use amtsweg::front::xta::{PayloadPolicy, Settings};

use super::wire::{OSCI, Order, Party, XTA, between, envelope, gateway, mtom, place};
use crate::support::{Gateway, Options};

const FREE: &[u8] = b"<p:antrag xmlns:p=\"urn:frei\"/>";

/// A gateway with small bounds.
async fn small() -> Gateway {
    let policy = PayloadPolicy { signature: Demand::None, schema: Demand::None, ..PayloadPolicy::default() };
    let limits =
        Limits { document_octets: 20_000, attachment_octets: 30_000, attachments: 2, ..Limits::default() };
    let quota = Quota { in_flight: 64, messages_per_minute: 10_000, message_octets: 50_000 };
    let xta = Settings { policies: vec![policy], ..Settings::default() };
    Gateway::start(Options { limits, quota, xta, ..Options::default() }).await
}

#[tokio::test]
async fn every_bound_of_sizes_and_numbers_is_kept() {
    let gateway = small().await;
    let portal = Party::new(&gateway, "portal", "psw:portal");
    let id = portal.new_id().await;
    let order = Order::default();
    let octets = |n: usize| vec![b'x'; n];
    let (most, over) = (octets(30_000), octets(30_001));
    let document = |n: usize| {
        let mut text = FREE.to_vec();
        text.resize(n, b' ');
        text
    };
    for (what, contents) in [
        ("the payload", vec![("a", document(20_001))]),
        ("an attachment", vec![("a", FREE.to_vec()), ("b", over)]),
        ("all together", vec![("a", FREE.to_vec()), ("b", most.clone()), ("c", octets(20_000))]),
        ("attachments", vec![("a", FREE.to_vec()), ("b", octets(1)), ("c", octets(1)), ("d", octets(1))]),
    ] {
        let contents: Vec<(&str, &[u8])> = contents.iter().map(|(name, o)| (*name, o.as_slice())).collect();
        let said = portal.try_send(&id, &order, &contents).await;
        assert_eq!(
            said.exception(),
            ("ParameterIsNotValidException".to_owned(), "9023".to_owned()),
            "{what}"
        );
    }
    // The same as base64 in the envelope: the envelope itself is bounded.
    let inline = |text: &str| {
        format!(
            "<x:GenericContentContainer xmlns:x=\"{XTA}\"><x:ContentContainer><x:Message contentType=\"text/xml\">\
             {text}</x:Message></x:ContentContainer></x:GenericContentContainer>"
        )
    };
    let said = portal.ask_with("SendMessage", &order.xml(&id), &inline(&"QUFB".repeat(5_000)), &[]).await;
    assert!(said.status == 500 && said.has("20000"), "{}", said.envelope);
    let long =
        Order { attributes: format!("<m:Origin>{}</m:Origin>", "1".repeat(20_000)), ..Order::default() };
    let said = portal.try_send(&id, &long, &[("a", FREE)]).await;
    assert!(said.status == 500, "{}", said.envelope);
    // What is within all bounds passes.
    portal.try_send(&id, &order, &[("a", &document(19_000)), ("b", &most), ("c", b"")]).await.good();
    gateway.stop().await;
}

#[tokio::test]
async fn heads_blocks_and_nesting_are_bounded() {
    let gateway = gateway().await;
    let portal = Party::new(&gateway, "portal", "psw:portal");
    let (port, action) = place("CreateMessageID");
    let (media, octets) = mtom(&action, &envelope(&action, &portal.author(), ""), &[]);
    let text = String::from_utf8(octets).unwrap();
    let post = async |text: String| portal.post(port, &media, text.into_bytes()).await;
    post(text.clone()).await.good();
    let head = text.replacen("Content-ID:", &format!("X-Long: {}\r\nContent-ID:", "y".repeat(9_000)), 1);
    let preamble = format!("{}\r\n{text}", "p".repeat(300_000));
    let cut = text[..text.len() - 20].to_owned();
    for (what, text) in [("a part's head", head), ("the preamble", preamble), ("no end", cut)] {
        let said = post(text).await;
        assert!(said.status == 500 && !said.has("CreateMessageIdResponse"), "{what}: {}", said.envelope);
    }
    const SOAP_XML: &str = "application/soap+xml; charset=utf-8";
    let deep = format!("{}{}", "<a>".repeat(60), "</a>".repeat(60));
    let many = "<n:x xmlns:n=\"urn:n\"/>".repeat(11_000);
    let attributes: String = (0..2_000).map(|n| format!(" a{n}=\"\"")).collect();
    for (what, headers) in [
        ("depth", deep),
        ("header blocks", many),
        ("attributes", format!("<x xmlns=\"urn:n\"{attributes}/>")),
    ] {
        let said = portal.post(port, SOAP_XML, envelope(&action, &headers, "").into_bytes()).await;
        assert!(said.status == 500, "{what}: {}", said.envelope);
    }
    gateway.stop().await;
}

fn selector(inner: &str, attributes: &str) -> String {
    format!("<o:MsgSelector {attributes}>{inner}</o:MsgSelector>")
}

#[tokio::test]
async fn selectors_combine_and_what_they_do_not_know_selects_nothing() {
    let gateway = gateway().await;
    let portal = Party::new(&gateway, "portal", "psw:portal");
    let authority = Party::new(&gateway, "authority", "kop:06534014");
    let mut ids = Vec::new();
    for relates in ["urn:a", "urn:a", "urn:b"] {
        let relates = format!("<m:In-Reply-To>{relates}</m:In-Reply-To>");
        ids.push(portal.send(&Order { relates, ..Order::default() }, &[("a.xml", FREE)]).await);
    }
    authority.fetch(&ids[0]).await.good();
    let leased = authority.list("", "").await;
    assert!(
        leased.good().has("<osci:ItemsPending>0<") && !leased.has(&ids[0]),
        "a lease takes it off the list"
    );
    let give_back = format!("/v1/messages/{}", ids[0]);
    assert_eq!(portal.client.get(&give_back).await.headers["amtsweg-state"], "Leased");
    let time = "<o:MsgBoxEntryTimeFrom>2020-01-01T00:00:00Z</o:MsgBoxEntryTimeFrom>\
                <o:MsgBoxEntryTimeTo>2060-01-01T00:00:00+01:00</o:MsgBoxEntryTimeTo>";
    let relates = |id: &str| format!("<a:RelatesTo>{id}</a:RelatesTo>");
    let named = |id: &str| format!("<a:MessageID>{id}</a:MessageID>");
    for (selector, expected) in [
        (selector(&relates("urn:a"), "newEntry=\"true\""), vec![&ids[1]]),
        (selector(&format!("{}{}", relates("urn:a"), relates("urn:b")), ""), vec![&ids[1], &ids[2]]),
        (selector(&format!("{}{}", named(&ids[1]), relates("urn:b")), ""), vec![]),
        (selector(&format!("{}{}{time}", named(&ids[2]), relates("urn:b")), "newEntry=\"1\""), vec![&ids[2]]),
        (selector(time, "newEntry=\"false\""), vec![&ids[1], &ids[2]]),
    ] {
        let said = authority.list("", &selector).await;
        let found: Vec<_> = ids.iter().filter(|id| said.good().has(id)).collect();
        assert_eq!(found, expected, "{selector}");
    }
    let own = selector("<o:Extension><n:sort xmlns:n=\"urn:n\"/></o:Extension>", "");
    let said = authority.list("", &own).await;
    assert!(said.good().has("reasons/SearchArgsInvalid") && !said.has(&ids[1]), "{}", said.envelope);
    let fetch = format!("<o:MsgBoxFetchRequest xmlns:o=\"{OSCI}\">{own}</o:MsgBoxFetchRequest>");
    let said = authority.ask("MsgBoxFetchRequest", &fetch).await;
    assert!(said.good().has("reasons/SearchArgsInvalid") && said.parts.is_empty());
    for (attributes, inner) in [
        ("", selector("<o:MsgBoxEntryTimeTo>tomorrow</o:MsgBoxEntryTimeTo>", "")),
        ("", selector(&named("urn:x").repeat(501), "")),
        ("maxListItems=\"0\"", String::new()),
        ("maxListItems=\"-1\"", String::new()),
    ] {
        assert_eq!(authority.list(attributes, &inner).await.fault(), "Sender", "{attributes} {inner:.80}");
    }
    // A request id is its account's own.
    let first = authority.list("maxListItems=\"1\"", "").await;
    let id = between(&first.envelope, "MsgBoxRequestID=\"", "\"").unwrap();
    let next = format!("<o:MsgBoxGetNextRequest xmlns:o=\"{OSCI}\" MsgBoxRequestID=\"{id}\"/>");
    let other = Party::new(&gateway, "authority2", "kop:06631013");
    let said = other.ask("MsgBoxGetNextListRequest", &next).await;
    assert!(said.good().has("reasons/RequestIdInvalid"), "{}", said.envelope);
    let said = authority.ask("MsgBoxGetNextListRequest", &next).await;
    assert!(said.good().has(&ids[2]) && said.has("<osci:ItemsPending>0<"));
    gateway.stop().await;
}

//! The sequences of a public client in their order (the OZG-Cloud's, by its description), for a reader
//! with three identifiers. Every answer is validated against the standard's schemas where they are at hand.

use std::sync::Arc;

use amtsweg::domain::{Account, Quota, Role};
use amtsweg::front::Accounts;

use super::wire::{META, Order, Party, Said, XTA, between, gateway};
use crate::support::Gateway;

/// The reader's identifiers; the last is another authority's.
const READERS: [&str; 3] = ["kop:06534014", "psw:06534014", "kop:06631013"];
const FREE: &[u8] = "<p:antrag xmlns:p=\"urn:frei\">Wohngeld f\u{fc}r Bj\u{f6}rn</p:antrag>".as_bytes();
const PDF: &[u8] = b"%PDF-1.7\r\n--uuid:11111111-222\r\n";

fn accounts(gateway: &Gateway) -> Accounts {
    let account = |name: &str, role, identifiers: &[&str]| {
        let quota = Quota { in_flight: 8, messages_per_minute: 600, message_octets: 1 << 20 };
        let identifiers = identifiers.iter().map(|id| id.parse().unwrap()).collect();
        let account =
            Account { name: name.parse().unwrap(), roles: vec![role], identifiers, quota, xades: false };
        (gateway.pki.fingerprint(name), account)
    };
    Accounts::new([
        account("portal", Role::Portal, &["psw:portal"]),
        account("authority", Role::Authority, &READERS),
    ])
}

/// checkAccountActive, lookupService, createMessageId, sendMessage, getTransportReport.
async fn send(portal: &Party, reader: &str) -> String {
    portal.ask("CheckAccountActive", "").await.good();
    let order = Order { reader: reader.to_owned(), ..Order::default() };
    let question = format!(
        "<x:LookupServiceRequest xmlns:x=\"{XTA}\" xmlns:m=\"{META}\"><x:LookupServiceRequestList><x:LookupService>\
         <m:Reader><m:Identifier type=\"xoev\">{reader}</m:Identifier></m:Reader><x:ServiceType>{}</x:ServiceType>\
         </x:LookupService></x:LookupServiceRequestList></x:LookupServiceRequest>",
        order.service
    );
    let said = portal.ask("IsServiceAvailable", &question).await;
    assert!(said.good().has("<xta:ServiceIsAvailable>true<"), "{}", said.envelope);
    let id = portal.send(&order, &[("antrag.xml", FREE), ("Nachweis.pdf", PDF)]).await;
    let report = portal.about("GetTransportReport", &id).await;
    assert_eq!(status(&report), "0");
    id
}

fn status(report: &Said) -> String {
    between(&report.good().envelope, "<xta:Status>", "<").unwrap()
}

/// getStatusList, getTransportReport, getMessage, getTransportReport, close; the ids that came.
async fn receive(reader: &Party) -> Vec<String> {
    let list = reader.list("maxListItems=\"50\" ListForm=\"MessageMetaData\"", "").await;
    let ids: Vec<String> = list
        .good()
        .envelope
        .split("<a:MessageID>")
        .skip(1)
        .map(|rest| rest.split('<').next().unwrap().to_owned())
        .collect();
    for id in &ids {
        let before = reader.about("GetTransportReport", id).await;
        assert!(status(&before) == "0" && !before.has(":InitialFetch>"), "{}", before.envelope);
        let message = reader.fetch(id).await;
        assert_eq!(message.good().parts, [FREE.to_vec(), PDF.to_vec()]);
        assert!(message.has(&format!(">{}</m:Identifier>", reader.identifier)), "{}", message.envelope);
        let fetched = reader.about("GetTransportReport", id).await;
        assert!(status(&fetched) == "0" && fetched.has(":InitialFetch>") && !fetched.has(":Reception>"));
        reader.close(id).await.good();
    }
    ids
}

#[tokio::test]
async fn the_sequences_of_a_public_client_work_for_a_reader_with_three_identifiers() {
    let gateway = gateway().await;
    gateway.accounts.store(Arc::new(accounts(&gateway)));
    let portal = Party::new(&gateway, "portal", "psw:portal");
    let mut sent = Vec::new();
    for reader in READERS {
        sent.push([send(&portal, reader).await, send(&portal, reader).await]);
    }
    for (reader, sent) in READERS.into_iter().zip(&sent) {
        let party = Party::new(&gateway, "authority", reader);
        party.ask("CheckAccountActive", "").await.good();
        assert_eq!(receive(&party).await, *sent, "what is for {reader}, and nothing else");
        assert!(receive(&party).await.is_empty(), "once");
    }
    for id in sent.iter().flatten() {
        let report = portal.about("GetTransportReport", id).await;
        assert!(status(&report) == "1" && report.has(":Reception>"), "{}", report.envelope);
    }
    gateway.stop().await;
}

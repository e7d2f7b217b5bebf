//! What is refused, and how that is said.

use super::wire::{OSCI, Order, Party, SOAP, WSA, XTA, envelope, gateway, mtom, place};
use crate::support::Draft;

const FREE: &[u8] = b"<p:antrag xmlns:p=\"urn:frei\"/>";

#[tokio::test]
async fn who_is_not_allowed_is_told_so_by_the_standards_exception() {
    let gateway = gateway().await;
    let portal = Party::new(&gateway, "portal", "psw:portal");
    let stranger = Party::new(&gateway, "nobody", "psw:portal");
    stranger.ask("CheckAccountActive", "").await.is("PermissionDenied", "9012");
    let other = Party::new(&gateway, "portal2", "psw:portal");
    other.ask("CheckAccountActive", "").await.is("PermissionDenied", "9014");
    let authority = Party::new(&gateway, "authority", "kop:06534014");
    authority.ask("CreateMessageID", "").await.is("PermissionDenied", "9014");
    portal.list("", "").await.is("PermissionDenied", "9014");
    let id = portal.new_id().await;
    let order = Order { author: "psw:portal2".to_owned(), ..Order::default() };
    portal.try_send(&id, &order, &[("a", FREE)]).await.is("PermissionDenied", "9014");
    // Somebody else's message is unknown.
    portal.try_send(&id, &Order::default(), &[("a", FREE)]).await.good();
    let foreign = Party::new(&gateway, "authority2", "kop:06631013");
    foreign.fetch(&id).await.is("InvalidMessageID", "9070");
    foreign.close(&id).await.is("InvalidMessageID", "9070");
    foreign.about("GetTransportReport", &id).await.is("InvalidMessageID", "9070");
    Party::new(&gateway, "portal2", "psw:portal2")
        .about("CancelMessage", &id)
        .await
        .is("ParameterIsNotValid", "9022");
    gateway.stop().await;
}

#[tokio::test]
async fn what_is_wrong_with_an_order_has_its_number() {
    let gateway = gateway().await;
    let portal = Party::new(&gateway, "portal", "psw:portal");
    let id = portal.new_id().await;
    let cases: Vec<(Order, &str, &str)> = vec![
        (Order { reader: "kop:unbekannt".to_owned(), ..Order::default() }, "XTAWSTechnicalProblem", "9031"),
        (Order { reader: "*".to_owned(), ..Order::default() }, "ParameterIsNotValid", "9022"),
        (Order { reader: "ars:06534".to_owned(), ..Order::default() }, "ParameterIsNotValid", "9022"),
        (Order { service: String::new(), ..Order::default() }, "ParameterIsNotValid", "9020"),
        (Order { kind: "streng".to_owned(), ..Order::default() }, "MessageSchemaViolation", "9052"),
        (
            Order {
                attributes: "<m:ObsoleteAfter>2020-01-01</m:ObsoleteAfter>".to_owned(),
                ..Order::default()
            },
            "ParameterIsNotValid",
            "9022",
        ),
    ];
    for (order, exception, number) in cases {
        portal.try_send(&id, &order, &[("a.xml", FREE)]).await.is(exception, number);
    }
    let send = |id: &'static str| {
        let portal = &portal;
        async move { portal.try_send(id, &Order::default(), &[("a.xml", FREE)]).await }
    };
    send("1").await.is("ParameterIsNotValid", "9021");
    let elsewhere = "urn:de:xta:messageid:other:01900000-0000-7000-8000-000000000000";
    send(elsewhere).await.is("ParameterIsNotValid", "9022");
    portal.try_send(&id, &Order::default(), &[("a.xml", b"<a>")]).await.is("MessageSchemaViolation", "9050");
    let unsigned = Draft::default().xml();
    let broken = unsigned.replace("<a:gebiet>", "<a:gebiett>").replace("</a:gebiet>", "</a:gebiett>");
    portal
        .try_send(&id, &Order::default(), &[("a.xml", broken.as_bytes())])
        .await
        .is("MessageSchemaViolation", "9050");
    let signed = Draft::default().signed(&gateway.pki.signer("signer"));
    let changed = String::from_utf8(signed).unwrap().replace("Hundes", "Katers");
    portal
        .try_send(&id, &Order::default(), &[("a.xml", changed.as_bytes())])
        .await
        .is("MessageSchemaViolation", "9052");
    portal.try_send(&id, &Order::default(), &[("a.xml", FREE)]).await.good();
    portal.try_send(&id, &Order::default(), &[("a.xml", FREE)]).await.is("ParameterIsNotValid", "9024");
    let body = format!("<x:GenericContentContainer xmlns:x=\"{XTA}\"/>");
    portal.ask_with("SendMessageSync", &Order::default().xml(&id), &body, &[]).await.is("SyncAsync", "9080");
    gateway.stop().await;
}

#[tokio::test]
async fn parts_that_do_not_fit_are_refused() {
    let gateway = gateway().await;
    let portal = Party::new(&gateway, "portal", "psw:portal");
    let id = portal.new_id().await;
    let include = |id: &str| {
        format!("<i:Include xmlns:i=\"http://www.w3.org/2004/08/xop/include\" href=\"cid:{id}\"/>")
    };
    let body = |message: &str, attachment: &str| {
        format!(
            "<x:GenericContentContainer xmlns:x=\"{XTA}\"><x:ContentContainer><x:Message contentType=\"text/xml\">{message}\
             </x:Message>{attachment}</x:ContentContainer></x:GenericContentContainer>"
        )
    };
    let attachment = format!("<x:Attachment contentType=\"a/b\">{}</x:Attachment>", include("a"));
    let root = include("root.message@cxf.apache.org");
    // The body, and the ids of the parts that come with it.
    let cases: [(String, &[&str]); 8] = [
        (body(&include("a"), ""), &[]),
        (body(&include("a"), ""), &["b"]),
        (body(&include("a"), ""), &["a", "a"]),
        (body(&include("a"), ""), &["a", "b"]),
        (body(&include("a"), &attachment), &["a"]),
        (body(&root, ""), &[]),
        (body(&format!("{}{}", include("a"), include("a")), ""), &["a"]),
        (body("!", ""), &[]),
    ];
    let headers = Order::default().xml(&id);
    for (body, ids) in cases {
        let parts: Vec<(&str, &[u8])> = ids.iter().map(|id| (*id, FREE)).collect();
        let said = portal.ask_with("SendMessage", &headers, &body, &parts).await;
        assert_eq!(said.fault(), "Sender", "{body}");
    }
    let (_, action) = place("SendMessage");
    let (media, octets) =
        mtom(&action, &envelope(&action, &headers, &body(&include("a"), "")), &[("a", FREE)]);
    let text = String::from_utf8(octets).unwrap();
    let nested =
        text.replace("Content-Type: application/octet-stream", "Content-Type: Multipart/mixed; boundary=x");
    assert_eq!(portal.post("SendXtaPort", &media, nested.into_bytes()).await.fault(), "Sender");
    let encoded = text.replacen(
        "Transfer-Encoding: binary\r\nContent-ID: <a>",
        "Transfer-Encoding: base64\r\nContent-ID: <a>",
        1,
    );
    assert_eq!(portal.post("SendXtaPort", &media, encoded.into_bytes()).await.fault(), "Sender");
    portal.post("SendXtaPort", &media, text.into_bytes()).await.good();
    gateway.stop().await;
}

#[tokio::test]
async fn the_soap_layer_has_faults_of_its_own() {
    let gateway = gateway().await;
    let portal = Party::new(&gateway, "portal", "psw:portal");
    let (port, action) = place("CreateMessageID");
    let post = |media: &'static str, text: String| {
        let portal = &portal;
        async move { portal.post(port, media, text.into_bytes()).await }
    };
    const SOAP_XML: &str = "application/soap+xml; charset=utf-8";
    post(SOAP_XML, envelope(&action, &portal.author(), "")).await.good();
    let must = format!("<n:x xmlns:n=\"urn:n\" s:mustUnderstand=\"1\" xmlns:s=\"{SOAP}\"/>");
    let said = post(SOAP_XML, envelope(&action, &must, "")).await;
    assert!(said.fault() == "MustUnderstand" && said.has("soap:NotUnderstood"), "{}", said.envelope);
    assert_eq!(post("text/xml", envelope(&action, "", "")).await.fault(), "VersionMismatch");
    for bad in [
        "<a".to_owned(),
        format!("<!DOCTYPE a>{}", envelope(&action, "", "")),
        envelope("urn:x", "", ""),
        envelope(&action, &format!("<ReplyTo xmlns=\"{WSA}\"><Address>http://x/</Address></ReplyTo>"), ""),
        envelope(&action, "", &format!("<a/><b xmlns=\"{OSCI}\"/>")),
    ] {
        assert_eq!(post(SOAP_XML, bad.clone()).await.fault(), "Sender", "{bad}");
    }
    gateway.stop().await;
}

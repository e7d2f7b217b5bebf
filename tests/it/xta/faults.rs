//! What is refused, and how that is said.

use amtsweg::domain::Quota;
use amtsweg::front::Limits;

use super::schema;
use super::wire::{OSCI, Order, Party, SOAP, WSA, XTA, envelope, gateway, mtom, place, policies};
use crate::support::{Draft, Gateway, Options};

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

/// All operations, by the end of their actions.
const OPERATIONS: [&str; 12] = [
    "CheckAccountActive",
    "IsServiceAvailable",
    "CreateMessageID",
    "GetTransportReport",
    "CancelMessage",
    "SendMessage",
    "SendMessageSync",
    "MsgBoxStatusListRequest",
    "MsgBoxGetNextListRequest",
    "MsgBoxFetchRequest",
    "MsgBoxGetNextMsgRequest",
    "MsgBoxCloseRequest",
];

#[tokio::test]
async fn every_operation_has_its_exceptions_and_they_are_valid() {
    let gateway = gateway().await;
    let nobody = Party::new(&gateway, "nobody", "psw:portal");
    let operator = Party::new(&gateway, "operator", "psw:portal");
    for operation in OPERATIONS {
        nobody.ask(operation, "").await.is("PermissionDenied", "9012");
        // An account that has neither this identifier nor the role.
        operator.ask(operation, "").await.is("PermissionDenied", "9014");
        let said = nobody.ask(operation, "").await;
        assert!(said.has("<soap:Detail><xta:PermissionDeniedException "), "{}", said.envelope);
        schema::refuses(&said.envelope, "<code>9012</code>", "<kode>9012</kode>");
        schema::refuses(&said.envelope, "<soap:Value>soap:Sender", "<soap:Value>soap:Absender");
    }
    gateway.stop().await;
}

/// Those that no other test here raises. None is raised for a locked account (9011), a service that is not
/// booked (9013), malware (9060) or a service that is synchronous only (9081): there are no such things here.
#[tokio::test]
async fn the_rarer_numbers_are_valid_too() {
    let limits = Limits { document_octets: 64 * 1024, ..Limits::default() };
    let quota = Quota { messages_per_minute: 3, ..Options::default().quota };
    let gateway = Gateway::start(Options { xta: policies(), limits, quota, ..Options::default() }).await;
    let portal = Party::new(&gateway, "portal", "psw:portal");
    let id = portal.new_id().await;
    let send = async |content: &[u8]| portal.try_send(&id, &Order::default(), &[("a.xml", content)]).await;
    let expired = Draft::default().signed(&gateway.pki.signer("signer-expired"));
    send(&expired).await.is("PermissionDenied", "9010");
    send(b"<a>\xe4</a>").await.is("MessageSchemaViolation", "9051");
    send(&vec![b' '; 65 * 1024]).await.is("ParameterIsNotValid", "9023");
    send(FREE).await.is("XTAWSTechnicalProblem", "9030");
    let long = format!("<n:x xmlns:n=\"urn:n\">{}</n:x>", "x".repeat(65 * 1024));
    // No operation of the management port has an exception for a size: a fault of the SOAP layer says it.
    let said = portal.ask_with("CreateMessageID", &long, "", &[]).await;
    assert_eq!(said.fault(), "Sender", "{}", said.envelope);
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

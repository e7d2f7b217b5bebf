//! The twelve operations.

use std::process::{Command, Stdio};

use super::wire::{OSCI, Order, Party, XTA, between, gateway};
use crate::support::gateway::hesse_in;
use crate::support::{Draft, Gateway, Options, pki::Pki};

struct Three {
    gateway: Gateway,
    portal: Party,
    authority: Party,
}

async fn three() -> Three {
    let gateway = gateway().await;
    let portal = Party::new(&gateway, "portal", "psw:portal");
    let authority = Party::new(&gateway, "authority", "kop:06534014");
    Three { gateway, portal, authority }
}

const FREE: &[u8] = "<p:antrag xmlns:p=\"urn:frei\">Grüße</p:antrag>".as_bytes();

#[tokio::test]
async fn a_message_goes_all_the_way_with_its_attachments_octet_by_octet() {
    let Three { gateway, portal, authority } = three().await;
    portal.ask("CheckAccountActive", "").await.good();
    let pdf = b"\r\n--uuid:11111111-222\r\n".repeat(9000);
    let order = Order {
        attributes:
            "<m:Origin>2026-05-04T10:00:00+02:00</m:Origin><m:Delivery>2020-01-01T00:00:00Z</m:Delivery>\
                     <m:ServiceQuality>eilig</m:ServiceQuality>"
                .to_owned(),
        ..Order::default()
    };
    let id = portal.send(&order, &[("antrag.xml", FREE), ("Maß \u{e4}.pdf", &pdf)]).await;
    let listed = authority.list("maxListItems=\"10\" ListForm=\"MessageMetaData\"", "").await;
    assert!(listed.good().has(&id) && listed.has("<osci:ItemsPending>0<"));
    let report = portal.about("GetTransportReport", &id).await;
    assert!(
        report.good().has("<xta:Status>0</xta:Status>") && report.has("without a signature: xta.policy[1]")
    );
    let fetched = authority.fetch(&id).await;
    assert_eq!(fetched.good().parts, [FREE.to_vec(), pdf.clone()]);
    assert!(fetched.has("filename=\"Maß \u{e4}.pdf\"") && fetched.has(&format!("size=\"{}\"", pdf.len())));
    assert!(
        fetched.has("<m:Origin>2026-05-04T10:00:00+02:00</m:Origin><m:Delivery>20"),
        "{}",
        fetched.envelope
    );
    assert!(fetched.has("<m:InitialFetch>") && fetched.has("name=\"Straße &amp; Co\""));
    assert!(!fetched.has("2020-01-01") && fetched.has("<m:ServiceQuality>eilig<"));
    authority.fetch(&id).await.is("InvalidMessageID", "9070");
    for _ in 0..2 {
        authority.close(&id).await.good();
    }
    let report = portal.about("GetTransportReport", &id).await;
    assert!(report.has("<xta:Status>1</xta:Status>") && report.has("<m:Reception>"), "{}", report.envelope);
    assert!(!authority.list("", "").await.good().has(&id));
    gateway.stop().await;
}

#[tokio::test]
async fn the_report_is_signed_by_the_gateway() {
    let Three { gateway, portal, .. } = three().await;
    let id = portal.send(&Order::default(), &[("a.xml", FREE)]).await;
    let said = portal.about("GetTransportReport", &id).await;
    let inner = between(&said.envelope, "<xta:TransportReport", "</xta:TransportReport>").unwrap();
    let report = format!("<xta:TransportReport{inner}</xta:TransportReport>");
    assert!(report.ends_with("</ds:Signature></xta:TransportReport>"));
    if Command::new("xmlsec1").arg("--version").stdout(Stdio::null()).status().is_err() {
        println!("skipped: xmlsec1 not found");
        return;
    }
    let file = gateway.pki.folder().join("report.xml");
    for (text, good) in [(report.clone(), true), (report.replace("Status>0<", "Status>1<"), false)] {
        std::fs::write(&file, text).unwrap();
        let mut xmlsec = Command::new("xmlsec1");
        xmlsec.arg("--verify").arg("--trusted-pem").arg(gateway.pki.file("signing-ca.pem")).arg(&file);
        let output = xmlsec.output().unwrap();
        assert_eq!(output.status.success(), good, "{}", String::from_utf8_lossy(&output.stderr));
    }
    gateway.stop().await;
}

#[tokio::test]
async fn all_fronts_serve_the_same_messages() {
    let Three { gateway, portal, authority } = three().await;
    let document = Draft::default().attach("a.pdf", b"%PDF").signed(&gateway.pki.signer("signer"));
    let by_grpc = portal.client.submit(&document, &[b"%PDF"]).await.unwrap().message_id;
    let fetched = authority.fetch(&by_grpc).await;
    assert_eq!(fetched.good().parts, [document, b"%PDF".to_vec()]);
    assert!(fetched.has("urn:de:fim:leika:leistung:99102013104000"), "{}", fetched.envelope);
    authority.close(&by_grpc).await.good();
    let signed = Draft::default().signed(&gateway.pki.signer("signer"));
    let order = Order { kind: "0100".to_owned(), reader: "ars:065340014014".to_owned(), ..Order::default() };
    let order = Order { service: "urn:de:fim:leika:leistung:99102013104000".to_owned(), ..order };
    let by_xta = portal.send(&order, &[("antrag.xml", &signed)]).await;
    let fetched = authority.client.get(&format!("/v1/mailbox/{by_xta}")).await;
    assert!(fetched.status == 200 && fetched.body == signed, "signed payloads need no policy");
    authority.close(&by_xta).await.good();
    assert_eq!(portal.client.get(&format!("/v1/messages/{by_xta}")).await.headers["amtsweg-state"], "Closed");
    let zip = portal
        .send(&Order { media: "application/zip", ..Order::default() }, &[("a.zip", b"PK\x03\x04")])
        .await;
    let fetched = authority.client.get(&format!("/v1/mailbox/{zip}")).await;
    assert_eq!(fetched.headers["content-type"], "application/zip");
    gateway.stop().await;
}

#[tokio::test]
async fn contents_may_come_as_base64_in_the_envelope() {
    let Three { gateway, portal, authority } = three().await;
    let id = portal.new_id().await;
    let body = format!(
        "<x:GenericContentContainer xmlns:x=\"{XTA}\"><x:ContentContainer><x:Message contentType=\"text/xml\">PGEg\n \
         eG1sbnM9InVybjp4Ii8+</x:Message><x:Attachment contentType=\"text/plain\">aMOk</x:Attachment>\
         </x:ContentContainer></x:GenericContentContainer>"
    );
    portal.ask_with("SendMessage", &Order::default().xml(&id), &body, &[]).await.good();
    let fetched = authority.fetch(&id).await;
    assert_eq!(fetched.good().parts, [b"<a xmlns=\"urn:x\"/>".to_vec(), "hä".as_bytes().to_vec()]);
    gateway.stop().await;
}

#[tokio::test]
async fn lists_are_selected_and_paged() {
    let Three { gateway, portal, authority } = three().await;
    let mut ids = Vec::new();
    for number in 0..5 {
        let relates = if number == 3 { "<m:In-Reply-To>urn:other</m:In-Reply-To>" } else { "" };
        let order = Order { relates: relates.to_owned(), ..Order::default() };
        ids.push(portal.send(&order, &[("a.xml", FREE)]).await);
    }
    let count = |text: &str| ids.iter().filter(|id| text.contains(id.as_str())).count();
    let first = authority.list("maxListItems=\"2\" ListForm=\"MessageMetaData\"", "").await;
    assert!(first.good().has(&ids[0]) && first.has(&ids[1]) && first.has("<osci:ItemsPending>3<"));
    let request = between(&first.envelope, "MsgBoxRequestID=\"", "\"").unwrap();
    let next = |id: String| async move {
        (format!("<o:MsgBoxGetNextRequest xmlns:o=\"{OSCI}\" MsgBoxRequestID=\"{id}\"/>"), ())
    };
    for (left, items) in [(1, 2), (0, 1)] {
        let said = authority.ask("MsgBoxGetNextListRequest", &next(request.clone()).await.0).await;
        assert!(said.good().has(&format!("<osci:ItemsPending>{left}<")), "{}", said.envelope);
        assert_eq!(count(&said.envelope), items);
    }
    let over = authority.ask("MsgBoxGetNextListRequest", &next(request).await.0).await;
    assert!(over.good().has("reasons/NoMatch"));
    let unknown = authority.ask("MsgBoxGetNextListRequest", &next("urn:x".to_owned()).await.0).await;
    assert!(unknown.good().has("reasons/RequestIdInvalid"));
    for (selector, expected) in [
        (format!("<o:MsgSelector><a:MessageID>{}</a:MessageID><a:MessageID>{}</a:MessageID></o:MsgSelector>", ids[1], ids[4]), 2),
        ("<o:MsgSelector><a:RelatesTo>urn:other</a:RelatesTo></o:MsgSelector>".to_owned(), 1),
        ("<o:MsgSelector newEntry=\"true\"/>".to_owned(), 5),
        ("<o:MsgSelector><o:MsgBoxEntryTimeTo>2020-01-01T00:00:00Z</o:MsgBoxEntryTimeTo></o:MsgSelector>".to_owned(), 0),
        ("<o:MsgSelector><o:MsgBoxEntryTimeFrom>2020-01-01T00:00:00Z</o:MsgBoxEntryTimeFrom></o:MsgSelector>".to_owned(), 5),
    ] {
        let said = authority.list("ListForm=\"MsgAtrributes\"", &selector).await;
        assert_eq!(count(&said.good().envelope), expected, "{selector}");
    }
    let last = portal.send(&Order::default(), &[("a.xml", FREE)]).await;
    // The header alone takes no lease; the body alone comes without metadata.
    let part = |part: &str| {
        format!(
            "<o:MsgBoxFetchRequest xmlns:o=\"{OSCI}\" MsgPart=\"{part}\"><o:MsgSelector><a:MessageID xmlns:a=\"{}\">{}\
             </a:MessageID></o:MsgSelector></o:MsgBoxFetchRequest>",
            super::wire::WSA,
            last
        )
    };
    let header = authority.ask("MsgBoxFetchRequest", &part("Header")).await;
    assert!(header.good().has(&last) && header.has(":MessageMetaData") && header.parts.is_empty());
    let whole = authority.ask("MsgBoxFetchRequest", &part("Body")).await;
    assert!(whole.good().parts == [FREE.to_vec()] && !whole.has(":MessageMetaData"), "{}", whole.envelope);
    authority.close(&last).await.good();
    // One after the other, as a client does that names no message.
    let fetch = format!("<o:MsgBoxFetchRequest xmlns:o=\"{OSCI}\"/>");
    let one = authority.ask("MsgBoxFetchRequest", &fetch).await;
    assert!(one.good().has(&ids[0]) && one.has("<osci:ItemsPending>4<"), "{}", one.envelope);
    let request = between(&one.envelope, "MsgBoxRequestID=\"", "\"").unwrap();
    for id in &ids[1..] {
        let said = authority.ask("MsgBoxGetNextMsgRequest", &next(request.clone()).await.0).await;
        assert!(said.good().has(id) && said.parts.len() == 1);
    }
    let over = authority.ask("MsgBoxGetNextMsgRequest", &next(request).await.0).await;
    assert!(over.good().has("reasons/NoMatch"));
    gateway.stop().await;
}

#[tokio::test]
async fn services_are_looked_up_in_the_directory() {
    let Three { gateway, portal, .. } = three().await;
    let one = |reader: &str, service: &str| {
        format!(
            "<x:LookupServiceRequestList><x:LookupService><m:Reader><m:Identifier type=\"xoev\">{reader}</m:Identifier>\
             </m:Reader><x:ServiceType>{service}</x:ServiceType></x:LookupService></x:LookupServiceRequestList>"
        )
    };
    let key = "urn:de:fim:leika:leistung:99102013104000";
    let body = format!(
        "<x:LookupServiceRequest xmlns:x=\"{XTA}\" xmlns:m=\"{}\">{}{}{}{}{}{}</x:LookupServiceRequest>",
        super::wire::META,
        one("kop:06534014", "urn:x"),
        one("kop:nobody", "urn:x"),
        one("ars:065340014014", key),
        one("ars:065340014014", "urn:x"),
        one("kop:06534014", key),
        one("kop:06534014", "urn:de:fim:leika:leistung:99400001000000"),
    );
    let said = portal.ask("IsServiceAvailable", &body).await;
    let values: Vec<&str> =
        said.good().envelope.split("<xta:IsServiceAvailableValue><xta:").skip(1).collect();
    for (value, expected) in values.iter().zip([
        "ServiceIsAvailable>true",
        "ServiceIsAvailable>false",
        "ServiceIsAvailable>true",
        "ServiceIsAvailableUnknown>true",
        "ServiceIsAvailable>true",
        "ServiceIsAvailable>false",
    ]) {
        assert!(value.starts_with(expected), "{expected}: {value}");
    }
    assert_eq!(values.len(), 6);
    gateway.stop().await;
}

#[tokio::test]
async fn a_lookup_gives_the_certificate_to_encrypt_for() {
    let folder = tempfile::tempdir().unwrap();
    let pki = Pki::make(&folder.path().join("pki"));
    let directory = folder.path().join("directory");
    std::fs::create_dir_all(&directory).unwrap();
    let named = |text: String, id: &str, name: &str| {
        std::fs::copy(pki.file(name), directory.join(name)).unwrap();
        text.replacen(&format!("id = \"{id}\""), &format!("id = \"{id}\"\nencryption = \"{name}\""), 1)
    };
    hesse_in(&directory, |text| {
        named(named(text, "marburg-mailbox", "authority.pem"), "hofbieber-mailbox", "expired.pem")
    });
    let options = Options { directory: Some(directory.clone()), ..Options::default() };
    let gateway = Gateway::start_in(&folder.path().join("gateway"), pki.clone(), options).await;
    let portal = Party::new(&gateway, "portal", "psw:portal");
    let lookup = async |reader: &str, service: &str| {
        let body = format!(
            "<x:LookupServiceRequest xmlns:x=\"{XTA}\" xmlns:m=\"{}\"><x:LookupServiceRequestList><x:LookupService>\
             <m:Reader><m:Identifier type=\"xoev\">{reader}</m:Identifier></m:Reader><x:ServiceType>{service}</x:ServiceType>\
             </x:LookupService></x:LookupServiceRequestList></x:LookupServiceRequest>",
            super::wire::META
        );
        let said = portal.ask("IsServiceAvailable", &body).await;
        assert!(said.good().has("ServiceIsAvailable>true<"), "{}", said.envelope);
        between(
            &said.envelope,
            "<code>verschluesselungszertifikat</code></xta:ParameterType><xta:Resource>",
            "<",
        )
    };
    use base64::Engine as _;
    let own = base64::engine::general_purpose::STANDARD.encode(pki.certificate("authority"));
    assert_eq!(lookup("kop:06534014", "urn:x").await, Some(own.clone()));
    assert_eq!(lookup("ars:065340014014", "urn:de:fim:leika:leistung:99102013104000").await, Some(own));
    assert_eq!(lookup("kop:06631013", "urn:x").await, None, "it has run out");
    gateway.stop().await;
}

#[tokio::test]
async fn a_message_is_held_back_and_can_be_taken_back() {
    let Three { gateway, portal, authority } = three().await;
    let order = Order {
        attributes: "<m:NotBefore>2050-01-01T00:00:00Z</m:NotBefore>".to_owned(),
        ..Order::default()
    };
    let id = portal.send(&order, &[("a.xml", FREE)]).await;
    assert!(!authority.list("", "").await.good().has(&id), "not yet");
    authority.fetch(&id).await.is("InvalidMessageID", "9070");
    assert_eq!(portal.client.get(&format!("/v1/messages/{id}")).await.headers["amtsweg-state"], "Deferred");
    portal.about("CancelMessage", &id).await.good();
    let report = portal.about("GetTransportReport", &id).await;
    assert!(report.good().has("<xta:Status>3</xta:Status>") && report.has("taken back by its author"));
    portal.about("CancelMessage", &id).await.is("CancelDenied", "9100");
    let id = portal.send(&Order::default(), &[("a.xml", FREE)]).await;
    authority.fetch(&id).await.good();
    portal.about("CancelMessage", &id).await.is("CancelDenied", "9101");
    gateway.stop().await;
}

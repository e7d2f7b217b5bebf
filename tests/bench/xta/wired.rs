//! The XTA side: SOAP and MTOM over HTTP/1.1, as back-office systems do it.

use std::future::Future;
use std::sync::Arc;

use bytes::Bytes;

use crate::Message;
use crate::child::{self, Setup};
use crate::soap::{
    OSCI, Order, asking_as, between, closing, container, envelope, fetching, mtom, part_ids, place,
};
use crate::wire::Http;

/// How a message's id begins in an answer.
const ID: &str = "<wsa:MessageID xmlns:wsa=\"http://www.w3.org/2005/08/addressing\">";
const READER: &str = "kop:06534014";

/// A client with its identifier.
#[derive(Clone)]
struct Caller {
    http: Http,
    base: Arc<str>,
    identifier: &'static str,
}

impl Caller {
    async fn ask(&self, operation: &str, body: &str) -> Bytes {
        self.ask_with(operation, &asking_as(self.identifier), body, &[]).await
    }

    async fn ask_with(&self, operation: &str, headers: &str, body: &str, parts: &[(&str, &[u8])]) -> Bytes {
        let (port, action) = place(operation);
        let (media, octets) = mtom(&action, &envelope(&action, headers, body), parts);
        let url = format!("{}/services/XTAService/{port}", self.base);
        let answer = self.http.call("POST", &url, &[("content-type", &media)], octets).await.unwrap();
        assert_eq!(answer.status, 200, "{operation}: {}", String::from_utf8_lossy(&answer.body));
        answer.body
    }

    async fn text(&self, operation: &str, body: &str) -> String {
        String::from_utf8(self.ask(operation, body).await.to_vec()).unwrap()
    }
}

pub struct Side {
    portal: Caller,
    authority: Caller,
}

impl Side {
    pub fn new(setup: &Setup) -> Self {
        let caller = |name: &str, identifier| Caller {
            http: Http::new(&setup.pki(), Some(name)),
            base: format!("https://localhost:{}", setup.port).into(),
            identifier,
        };
        Self { portal: caller("portal", child::AUTHOR), authority: caller("authority", READER) }
    }

    pub fn send(&self, message: Message) -> impl Future<Output = ()> + Send + 'static {
        let portal = self.portal.clone();
        async move {
            let id = between(&portal.text("CreateMessageID", "").await, ID, "<").unwrap();
            let order = Order {
                author: child::AUTHOR.to_owned(),
                reader: READER.to_owned(),
                kind: "0100".to_owned(),
                ..Order::default()
            };
            let mut contents = vec![("antrag.xml", "application/xml")];
            contents.extend(message.attachment.iter().map(|_| ("a.bin", "application/octet-stream")));
            let ids = part_ids(contents.len());
            let octets = std::iter::once(&message.document).chain(&message.attachment);
            let parts: Vec<(&str, &[u8])> =
                ids.iter().zip(octets).map(|(id, octets)| (id.as_str(), octets.as_ref())).collect();
            portal.ask_with("SendMessage", &order.xml(&id), &container(&contents, &ids), &parts).await;
        }
    }

    /// The ids of so many messages, as a client pages through them.
    pub async fn list(&self, count: usize) -> Vec<String> {
        let body = format!(
            "<o:MsgBoxStatusListRequest xmlns:o=\"{OSCI}\" maxListItems=\"100\" ListForm=\"MsgAtrributes\"/>"
        );
        let (mut ids, mut asked) = (Vec::new(), ("MsgBoxStatusListRequest", body));
        while ids.len() < count {
            let page = self.authority.text(asked.0, &asked.1).await;
            let before = ids.len();
            ids.extend(page.split(ID).skip(1).filter_map(|rest| Some(rest.split_once('<')?.0.to_owned())));
            assert!(ids.len() > before, "{before} of {count} messages are there");
            let request = between(&page, "MsgBoxRequestID=\"", "\"").unwrap();
            let next =
                format!("<o:MsgBoxGetNextRequest xmlns:o=\"{}\" MsgBoxRequestID=\"{request}\"/>", OSCI);
            asked = ("MsgBoxGetNextListRequest", next);
        }
        ids.truncate(count);
        ids
    }

    pub fn pull(&self, id: String) -> impl Future<Output = ()> + Send + 'static {
        let authority = self.authority.clone();
        async move {
            authority.ask("MsgBoxFetchRequest", &fetching(Some(&id))).await;
            authority.ask("MsgBoxCloseRequest", &closing(&id)).await;
        }
    }
}

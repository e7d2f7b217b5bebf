//! Push over XTA 2 (web service 2.1.1): `createMessageId`, then `sendMessage` with MTOM, on the
//! authority's own XTA server.
//!
//! The server names the message. The name is asked for first and made durable by the caller, then the
//! message is sent under it, at every attempt under the same: a server that has it answers with the
//! standard's 9024, and no second message comes of a lost answer.

mod answer;

use http::header::{ACCEPT, CONTENT_TYPE, USER_AGENT};
use http::{Method, Request, Uri};
use hyper_rustls::HttpsConnector;
use hyper_util::client::legacy;
use tokio::time::Instant;

use super::body::Outgoing;
use super::connector::Connector;
use super::{Order, Parcel, Reply, explain};
use crate::domain::outcome::Outcome;
use crate::domain::{Identifier, Record, XtaServer};
use crate::xml::escaped;
use crate::xta::metadata::{Forwarding, passed_on};
use crate::xta::mtom::{self, Container, SOAP_XML};
use crate::xta::names::{META, Operation, WSA};
use crate::xta::{ANONYMOUS, envelope};
use answer::Said;

type Pool = legacy::Client<HttpsConnector<Connector>, Outgoing>;

/// A client for one server.
pub(crate) struct XtaClient {
    pool: Pool,
    management: Uri,
    send: Uri,
    server: XtaServer,
    url: String,
}

impl XtaClient {
    /// A client of the server whose ports these are.
    pub(crate) fn new(pool: Pool, management: Uri, send: Uri, server: XtaServer) -> Self {
        let url = send.to_string();
        Self { pool, management, send, server, url }
    }

    /// The server, as names of messages are kept for it.
    pub(crate) fn server(&self) -> &str {
        &self.url
    }

    /// As whom a message is sent there.
    fn author<'a>(&'a self, record: &'a Record) -> &'a Identifier {
        self.server.author.as_ref().unwrap_or(&record.header.author)
    }

    /// Asks the server for a name for a message.
    ///
    /// # Errors
    /// What to record when it gives none.
    pub(crate) async fn name(&self, record: &Record, deadline: Instant) -> Result<String, Reply> {
        let operation = Operation::CreateMessageId;
        let author = format!(
            "<meta:Author xmlns:meta=\"{META}\"><meta:Identifier type=\"xoev\">{}</meta:Identifier></meta:Author>",
            escaped(self.author(record).as_str())
        );
        let text = request_envelope(operation, &self.management, &author, "");
        let media = format!("{SOAP_XML}; charset=UTF-8; action=\"{}\"", operation.action());
        let mut body = Outgoing::empty();
        body.text(text);
        let said = match self.call(&self.management, &media, body, deadline).await? {
            Said::Body(said) => said,
            Said::Fault(fault) => return Err(fault.reply("createMessageId", false)),
        };
        let id = said.filter(|element| element.is(WSA, "MessageID")).map(|element| element.text());
        id.filter(|id| is_name(id))
            .ok_or_else(|| Reply::none("createMessageId was answered without a usable MessageID"))
    }

    /// One attempt.
    pub(crate) async fn send(&self, mut parcel: Parcel, deadline: Instant) -> Reply {
        let Some(order) = parcel.order.take() else { return Reply::none("the message has no name there") };
        let sent_before = order.sent_before;
        let (media, body) = self.message(&order, parcel);
        let said = match self.call(&self.send, &media, body, deadline).await {
            Ok(said) => said,
            Err(reply) => return reply,
        };
        match said {
            Said::Body(None) => Reply::of(Outcome::Has { taken_over: true }, "sendMessage accepted"),
            Said::Body(Some(_)) => Reply::none("sendMessage was answered with something else"),
            Said::Fault(fault) => fault.reply("sendMessage", sent_before),
        }
    }

    /// The Content-Type and the body of `sendMessage`.
    fn message(&self, order: &Order, parcel: Parcel) -> (String, Outgoing) {
        let Order { record, kept, sender, name, .. } = order;
        let operation = Operation::SendMessage;
        let to = Forwarding {
            id: name,
            author: self.server.author.as_ref(),
            reader: self.server.reader.as_ref(),
            sender,
        };
        let metadata = passed_on(record, kept.as_ref(), &to).to_xml();
        let container = Container::of(record, kept.as_ref());
        let boundary = mtom::boundary();
        let mut body = Outgoing::empty();
        body.text(mtom::first(&boundary, operation.action()));
        body.text(request_envelope(operation, &self.send, &metadata, &container.xml));
        let contents = std::iter::once(parcel.document).chain(parcel.attachments.into_iter().map(|(_, p)| p));
        for (piece, id) in contents.zip(&container.ids) {
            body.text(mtom::head(&boundary, id));
            body.piece(piece);
        }
        body.text(mtom::end(&boundary));
        (mtom::media(&boundary, operation.action()), body)
    }

    /// Posts a request and reads the answer; `Err` is what to record when none comes.
    async fn call(&self, uri: &Uri, media: &str, body: Outgoing, deadline: Instant) -> Result<Said, Reply> {
        let request = Request::builder()
            .method(Method::POST)
            .uri(uri)
            .header(USER_AGENT, concat!("amtsweg/", env!("CARGO_PKG_VERSION")))
            .header(ACCEPT, "multipart/related, application/soap+xml")
            .header(CONTENT_TYPE, media)
            .body(body)
            .map_err(|error| Reply::none(format!("the request can't be written: {error}")))?;
        match tokio::time::timeout_at(deadline, self.pool.request(request)).await {
            Err(_) => Err(Reply::none("no answer in time")),
            Ok(Err(error)) => Err(Reply::none(explain(&error))),
            Ok(Ok(response)) => answer::read(response, deadline).await,
        }
    }
}

/// An envelope for a port.
fn request_envelope(operation: Operation, port: &Uri, headers: &str, body: &str) -> String {
    let addressed = format!(
        "<wsa:To>{}</wsa:To><wsa:ReplyTo><wsa:Address>{ANONYMOUS}</wsa:Address></wsa:ReplyTo>{headers}",
        escaped(&port.to_string())
    );
    envelope(operation.action(), &addressed, body)
}

/// Whether a text can be kept as a name: a URI, as short as ids are.
fn is_name(id: &str) -> bool {
    (1..=200).contains(&id.len()) && id.bytes().all(|octet| octet.is_ascii_graphic())
}

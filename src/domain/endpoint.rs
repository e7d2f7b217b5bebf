//! Endpoints: how an authority takes messages over.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{AuthorityId, EndpointId, Identifier, Timestamp, Way};

/// How to reach an authority.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// Its name in the directory.
    pub id: EndpointId,
    /// Push or mailbox.
    pub transport: Transport,
    /// After this age an undelivered message is warned about.
    pub warn_after: Duration,
    /// After this age an undelivered message is returned to its author.
    pub return_after: Duration,
    /// The certificate for which contents are to be encrypted, DER: `lookupService` of XTA tells it.
    pub encryption: Option<std::sync::Arc<[u8]>>,
}

/// The two ways out of the gateway.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Transport {
    /// The gateway calls the authority.
    Push {
        /// Protocol spoken at `url`.
        protocol: Protocol,
        /// `https://host[:port][/path]`; of XTA the port that takes messages.
        url: String,
        /// PEM file of the anchors for the server's certificate; none = the gateway's `tls.ca`.
        ca: Option<std::path::PathBuf>,
        /// Time for one attempt, all of it.
        timeout: Duration,
        /// Attempts in flight at most.
        concurrency: usize,
        /// First back-off bound.
        backoff_min: Duration,
        /// Largest back-off bound.
        backoff_max: Duration,
    },
    /// The authority calls the gateway.
    Mailbox {
        /// Length of a lease when the reader asks for none.
        lease: Duration,
    },
}

/// What a push endpoint speaks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// XML over HTTPS.
    Https,
    /// `amtsweg.v1.Delivery` over gRPC.
    Grpc,
    /// XTA 2: the authority has an XTA server of its own.
    Xta(Box<XtaServer>),
}

/// An authority's XTA server, besides the URL that takes messages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct XtaServer {
    /// URL of its management port.
    pub management: String,
    /// The author named there, in place of the message's own.
    pub author: Option<Identifier>,
    /// The reader named there, in place of the one that the route found.
    pub reader: Option<Identifier>,
}

impl Endpoint {
    /// Push or pull.
    #[must_use]
    pub fn way(&self) -> Way {
        match self.transport {
            Transport::Push { .. } => Way::Push,
            Transport::Mailbox { .. } => Way::Pull,
        }
    }
}

/// What operators have set for an endpoint; durable, unlike the directory's files.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EndpointControl {
    /// The endpoint.
    pub endpoint: EndpointId,
    /// Suspended: nothing is pushed there until it is resumed.
    pub suspended: bool,
    /// Why, in the operator's words.
    pub reason: String,
    /// Who set it (account name).
    pub by: String,
    /// When.
    pub at: Timestamp,
}

/// An authority as a route names it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuthorityName {
    /// Its name in the directory.
    pub id: AuthorityId,
    /// Its name for people.
    pub name: String,
}

//! The words of the field as types, and the pure rules on them: no clock, no I/O, no randomness.

pub mod account;
pub mod breaker;
pub mod concurrency;
pub mod coverage;
pub mod delivery;
pub mod endpoint;
pub mod identifier;
pub mod message;
pub mod order;
pub mod outcome;
pub mod record;
pub mod retry;
pub mod time;

pub use account::{Account, Quota, Role};
pub use coverage::{Coverage, Note};
pub use delivery::{Action, Claim, ParkReason, State, Way};
pub use endpoint::{Endpoint, EndpointControl, Protocol, Transport, XtaServer};
pub use identifier::{AccountName, Ars, AuthorityId, Digest, EndpointId, Identifier, MessageId, ServiceKey};
pub use message::{DeclaredAttachment, Header, SignerInfo};
pub use order::{Demand, Order, Terms, Waiver};
pub use record::{ContentRef, Event, Fact, FactKind, Placement, Record, RemoteName, StoredAttachment};
pub use time::Timestamp;

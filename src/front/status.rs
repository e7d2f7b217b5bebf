//! The one error table: what a code means to XÖV, XTA, gRPC and HTTP, and how a refusal is
//! written as a gRPC status.

use axum::http::StatusCode;
use base64::Engine as _;
use bytes::Bytes;
use prost::Message as _;
use tonic::metadata::{MetadataMap, MetadataValue};
use tonic::{Code as Grpc, Status};

use crate::error::{Code, Refusal};
use crate::proto;

/// Name of the trailer with the encoded `amtsweg.v1.Problem`.
pub const PROBLEM: &str = "amtsweg-problem-bin";

/// What a code is elsewhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Meaning {
    /// A few words, the same for every occurrence (RFC 9457 `title`).
    pub title: &'static str,
    /// Rejection codes of XÖV (code list `rueckweisungsgrund`).
    pub xoev: &'static [&'static str],
    /// Fault codes of XTA (`urn:de:xta:webservice:codeliste:fehlernummer`).
    pub xta: &'static [&'static str],
    /// gRPC status.
    pub grpc: Grpc,
    /// HTTP status.
    pub http: StatusCode,
    /// Seconds after which trying again makes sense; `None`: the same request fails again.
    pub retry_after: Option<u32>,
}

/// A row is: code, title, XÖV, XTA, gRPC, HTTP, and after how many seconds to try again.
macro_rules! table {
    ($($code:ident $title:literal $xoev:tt $xta:tt $grpc:ident $http:ident $($again:literal)?;)*) => {
        /// The table. A match underneath, so that a new code does not compile without its row.
        #[must_use]
        pub fn meaning(code: Code) -> Meaning {
            match code {
                $(Code::$code => Meaning {
                    title: $title,
                    xoev: &$xoev,
                    xta: &$xta,
                    grpc: Grpc::$grpc,
                    http: StatusCode::$http,
                    retry_after: [$(Some($again),)? None][0],
                },)*
            }
        }
    };
}

table! {
    NotWellFormed "not well-formed" ["X000"] ["9050"] InvalidArgument BAD_REQUEST;
    Forbidden "forbidden construct" ["X000"] ["9050"] InvalidArgument BAD_REQUEST;
    OverLimit "over a limit" ["X000"] ["9023"] ResourceExhausted PAYLOAD_TOO_LARGE;
    NotUtf8 "not UTF-8" ["S001"] ["9051"] InvalidArgument BAD_REQUEST;
    UnknownStandard "unknown standard or version" ["V000"] ["9052"] InvalidArgument UNPROCESSABLE_ENTITY;
    SchemaInvalid "schema-invalid" ["X001"] ["9050"] InvalidArgument UNPROCESSABLE_ENTITY;
    UnknownCode "unknown code" ["S011"] ["9050"] InvalidArgument UNPROCESSABLE_ENTITY;
    SignatureMissing "signature missing" ["T010"] ["9052"] InvalidArgument UNPROCESSABLE_ENTITY;
    SignatureWeak "signature too weak" ["T010"] ["9052"] InvalidArgument UNPROCESSABLE_ENTITY;
    SignatureWrong "signature wrong" ["T011"] ["9052"] InvalidArgument UNPROCESSABLE_ENTITY;
    NotCovered "message not covered" ["T011"] ["9052"] InvalidArgument UNPROCESSABLE_ENTITY;
    CertificateExpired "certificate expired" ["T000"] ["9010"] FailedPrecondition UNPROCESSABLE_ENTITY;
    CertificateRevoked "certificate revoked" ["T001"] ["9052"] FailedPrecondition UNPROCESSABLE_ENTITY;
    CertificateUntrusted "certificate not trusted" ["T002"] ["9052"] FailedPrecondition UNPROCESSABLE_ENTITY;
    CertificateMissing "certificate missing" ["T003"] ["9052"] FailedPrecondition UNPROCESSABLE_ENTITY;
    RevocationUnknown "revocation unknown" ["T002"] ["9052"] FailedPrecondition UNPROCESSABLE_ENTITY;
    NotEntitled "not entitled" ["T070"] ["9014"] PermissionDenied FORBIDDEN;
    ReaderDiffers "reader differs from the route" ["T080"] ["9014"] InvalidArgument UNPROCESSABLE_ENTITY;
    IdUsed "id used for other content" ["S100"] ["9024"] AlreadyExists CONFLICT;
    NobodyCompetent "nobody competent" [] ["9031"] NotFound NOT_FOUND;
    NotConnected "competent but not connected" [] ["9031"] FailedPrecondition UNPROCESSABLE_ENTITY;
    Ambiguous "competence ambiguous" [] ["9031"] FailedPrecondition UNPROCESSABLE_ENTITY;
    Returned "returned" [] ["9032"] FailedPrecondition UNPROCESSABLE_ENTITY;
    Overloaded "overloaded" [] ["9030"] Unavailable SERVICE_UNAVAILABLE 2;
    DiskFull "disk nearly full" [] ["9030"] ResourceExhausted INSUFFICIENT_STORAGE 300;
    Quota "quota used up" [] ["9030"] ResourceExhausted TOO_MANY_REQUESTS 5;
    UnknownMessage "unknown message" [] ["9070"] NotFound NOT_FOUND;
    LeaseLost "lease lost" [] ["9070"] Aborted CONFLICT;
    Internal "fault in the gateway" [] ["9030"] Internal INTERNAL_SERVER_ERROR 30;
}

/// Octets of explanation sent with a refusal: it has to fit into a header list.
const MAX_EXPLANATION: usize = 4096;
/// Characters of a reason sent.
const MAX_REASON: usize = 1000;

/// A refusal as the protocol's `Problem`.
#[must_use]
pub fn problem(refusal: &Refusal) -> proto::Problem {
    let meaning = meaning(refusal.code);
    let place = refusal.location.as_deref();
    let mut room = MAX_EXPLANATION;
    let explanation = refusal.explanation.iter().take_while(|line| {
        let fits = line.len() <= room;
        room = room.saturating_sub(line.len());
        fits
    });
    proto::Problem {
        code: refusal.code.as_str().to_owned(),
        reason: refusal.reason.chars().take(MAX_REASON).collect(),
        line: place.map_or(0, |l| l.line),
        column: place.map_or(0, |l| l.column),
        path: place.map_or_else(String::new, |l| l.path.chars().take(MAX_REASON).collect()),
        explanation: explanation.cloned().collect(),
        xoev: meaning.xoev.iter().map(|&c| c.to_owned()).collect(),
        xta: meaning.xta.iter().map(|&c| c.to_owned()).collect(),
    }
}

/// A refusal as a gRPC status: `AW-nnnn: reason`, the [`PROBLEM`] trailer, and when to try again
/// (`grpc-retry-pushback-ms`, gRFC A6; negative = never).
#[must_use]
pub fn status(refusal: &Refusal) -> Status {
    let meaning = meaning(refusal.code);
    let problem = problem(refusal);
    let mut metadata = MetadataMap::new();
    metadata.insert_bin(PROBLEM, MetadataValue::from_bytes(&problem.encode_to_vec()));
    let pushback = meaning.retry_after.map_or(-1, |seconds| i64::from(seconds) * 1000);
    metadata.insert("grpc-retry-pushback-ms", MetadataValue::from(pushback));
    Status::with_details_and_metadata(
        meaning.grpc,
        format!("{}: {}", problem.code, problem.reason),
        Bytes::new(),
        metadata,
    )
}

/// The code that a gRPC answer's headers carry.
pub(super) fn code_of(headers: &axum::http::HeaderMap) -> Option<Code> {
    let encoded = headers.get(PROBLEM)?.as_bytes();
    let engine = base64::engine::general_purpose::STANDARD_NO_PAD;
    let trimmed = encoded.strip_suffix(b"==").or_else(|| encoded.strip_suffix(b"=")).unwrap_or(encoded);
    let problem = proto::Problem::decode(engine.decode(trimmed).ok()?.as_slice()).ok()?;
    Code::ALL.iter().copied().find(|code| code.as_str() == problem.code)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_has_an_answer_that_is_an_error_everywhere() {
        for &code in Code::ALL {
            let meaning = meaning(code);
            assert!(meaning.http.is_client_error() || meaning.http.is_server_error(), "{code}");
            assert!(!matches!(meaning.grpc, Grpc::Ok | Grpc::Unknown), "{code}");
            assert!(!meaning.title.is_empty() && !meaning.xta.is_empty(), "{code}");
        }
    }

    #[test]
    fn a_status_carries_the_problem_and_the_code_can_be_read_back() {
        let refusal = Refusal::new(Code::Ambiguous, "ü".repeat(5000)).explained(vec!["why ".repeat(500); 9]);
        let http = status(&refusal).into_http::<axum::body::Body>();
        assert_eq!(code_of(http.headers()), Some(Code::Ambiguous));
        let size: usize = http.headers().iter().map(|(k, v)| k.as_str().len() + v.len() + 32).sum();
        assert!(size < 16 * 1024, "fits the smallest usual header list: {size}");
    }
}

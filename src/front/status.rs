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

/// The table. Kept as one match, so that a new code does not compile without its line.
#[must_use]
pub fn meaning(code: Code) -> Meaning {
    use StatusCode as H;
    let row = |title, xoev, xta, grpc, http| Meaning { title, xoev, xta, grpc, http, retry_after: None };
    let (bad, pre) = (Grpc::InvalidArgument, Grpc::FailedPrecondition);
    let no: &'static [&'static str] = &[];
    let later = |seconds, meaning| Meaning { retry_after: Some(seconds), ..meaning };
    match code {
        Code::NotWellFormed => row("not well-formed", &["X000"], &["9050"], bad, H::BAD_REQUEST),
        Code::Forbidden => row("forbidden construct", &["X000"], &["9050"], bad, H::BAD_REQUEST),
        Code::OverLimit => {
            row("over a limit", &["X000"], &["9023"], Grpc::ResourceExhausted, H::PAYLOAD_TOO_LARGE)
        }
        Code::NotUtf8 => row("not UTF-8", &["S001"], &["9051"], bad, H::BAD_REQUEST),
        Code::UnknownStandard => {
            row("unknown standard or version", &["V000"], &["9052"], bad, H::UNPROCESSABLE_ENTITY)
        }
        Code::SchemaInvalid => row("schema-invalid", &["X001"], &["9050"], bad, H::UNPROCESSABLE_ENTITY),
        Code::UnknownCode => row("unknown code", &["S011"], &["9050"], bad, H::UNPROCESSABLE_ENTITY),
        Code::SignatureMissing => {
            row("signature missing", &["T010"], &["9052"], bad, H::UNPROCESSABLE_ENTITY)
        }
        Code::SignatureWeak => row("signature too weak", &["T010"], &["9052"], bad, H::UNPROCESSABLE_ENTITY),
        Code::SignatureWrong => row("signature wrong", &["T011"], &["9052"], bad, H::UNPROCESSABLE_ENTITY),
        Code::NotCovered => {
            row("signature does not cover the message", &["T011"], &["9052"], bad, H::UNPROCESSABLE_ENTITY)
        }
        Code::CertificateExpired => {
            row("signer's certificate expired", &["T000"], &["9010"], pre, H::UNPROCESSABLE_ENTITY)
        }
        Code::CertificateRevoked => {
            row("signer's certificate revoked", &["T001"], &["9052"], pre, H::UNPROCESSABLE_ENTITY)
        }
        Code::CertificateUntrusted => {
            row("signer's certificate not trusted", &["T002"], &["9052"], pre, H::UNPROCESSABLE_ENTITY)
        }
        Code::CertificateMissing => {
            row("signer's certificate missing", &["T003"], &["9052"], pre, H::UNPROCESSABLE_ENTITY)
        }
        Code::RevocationUnknown => {
            row("revocation unknown", &["T002"], &["9052"], pre, H::UNPROCESSABLE_ENTITY)
        }
        Code::NotEntitled => row("not entitled", &["T070"], &["9014"], Grpc::PermissionDenied, H::FORBIDDEN),
        Code::ReaderDiffers => {
            row("reader differs from the route", &["T080"], &["9014"], bad, H::UNPROCESSABLE_ENTITY)
        }
        Code::IdUsed => {
            row("id used for other content", &["S100"], &["9024"], Grpc::AlreadyExists, H::CONFLICT)
        }
        Code::NobodyCompetent => row("nobody competent", no, &["9031"], Grpc::NotFound, H::NOT_FOUND),
        Code::NotConnected => row("competent but not connected", no, &["9031"], pre, H::UNPROCESSABLE_ENTITY),
        Code::Ambiguous => row("competence ambiguous", no, &["9031"], pre, H::UNPROCESSABLE_ENTITY),
        Code::Returned => row("returned", no, &["9032"], pre, H::UNPROCESSABLE_ENTITY),
        Code::Overloaded => {
            later(2, row("overloaded", no, &["9030"], Grpc::Unavailable, H::SERVICE_UNAVAILABLE))
        }
        Code::DiskFull => later(
            300,
            row("disk nearly full", no, &["9030"], Grpc::ResourceExhausted, H::INSUFFICIENT_STORAGE),
        ),
        Code::Quota => {
            later(5, row("quota used up", no, &["9030"], Grpc::ResourceExhausted, H::TOO_MANY_REQUESTS))
        }
        Code::UnknownMessage => row("unknown message", no, &["9070"], Grpc::NotFound, H::NOT_FOUND),
        Code::LeaseLost => row("lease lost", no, &["9070"], Grpc::Aborted, H::CONFLICT),
        Code::Internal => {
            later(30, row("fault in the gateway", no, &["9030"], Grpc::Internal, H::INTERNAL_SERVER_ERROR))
        }
    }
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

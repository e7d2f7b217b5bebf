//! What an authority's answer means for the message. Pure: it sees numbers, not a transport.

use std::time::Duration;

/// What an attempt came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The authority has the message.
    Has {
        /// It said that it took it over; else it will close it later.
        taken_over: bool,
    },
    /// Try again, not before the time that it asked for.
    Again {
        /// Its `Retry-After`.
        asked: Option<Duration>,
    },
    /// Repeating can't change the answer: an operator must look.
    Refused,
}

impl Outcome {
    /// The word for metrics and logs.
    #[must_use]
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Has { .. } => "delivered",
            Self::Again { .. } => "failed",
            Self::Refused => "refused",
        }
    }
}

/// An answer by HTTP, as far as it matters here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HttpAnswer {
    /// The status.
    pub status: u16,
    /// The answer names this very message (header `Amtsweg-Message-Id`, or the id in its body).
    pub names_message: bool,
    /// The header `Amtsweg-Taken-Over`, where it says `true` or `false`.
    pub taken_over: Option<bool>,
    /// The header `Retry-After` as a span.
    pub retry_after: Option<Duration>,
}

/// The meaning of an HTTP answer (RFC 9110 section 15):
/// - 2xx: it has it; 202 (or `Amtsweg-Taken-Over: false`) leaves the taking over for later;
/// - 409 that names this message: it has had it before. Which answer was lost is not known; it
///   counts as taken over unless the header says otherwise;
/// - 408, 425, 429, 5xx and anything outside the range of statuses: again;
/// - 1xx, 3xx (redirects are not followed) and other 4xx: refused.
#[must_use]
pub fn of_http(answer: HttpAnswer) -> Outcome {
    let said = answer.taken_over.unwrap_or(true);
    match answer.status {
        202 => Outcome::Has { taken_over: false },
        200..=299 => Outcome::Has { taken_over: said },
        409 if answer.names_message => Outcome::Has { taken_over: said },
        408 | 425 | 429 => Outcome::Again { asked: answer.retry_after },
        100..=499 => Outcome::Refused,
        _ => Outcome::Again { asked: answer.retry_after },
    }
}

/// The meaning of a gRPC status other than OK (numbers of `google.rpc.Code`), by the same rule:
/// ALREADY_EXISTS (6) that names this message is 409, what may pass is 5xx, the rest is 4xx.
#[must_use]
pub fn of_grpc(code: i32, names_message: bool, retry_after: Option<Duration>) -> Outcome {
    match code {
        6 if names_message => Outcome::Has { taken_over: true },
        // INVALID_ARGUMENT, NOT_FOUND, ALREADY_EXISTS, PERMISSION_DENIED, FAILED_PRECONDITION,
        // OUT_OF_RANGE, UNIMPLEMENTED, UNAUTHENTICATED
        3 | 5 | 6 | 7 | 9 | 11 | 12 | 16 => Outcome::Refused,
        // CANCELLED, UNKNOWN, DEADLINE_EXCEEDED, RESOURCE_EXHAUSTED, ABORTED, INTERNAL,
        // UNAVAILABLE, DATA_LOSS, and what nobody has defined yet
        _ => Outcome::Again { asked: retry_after },
    }
}

/// A fault of an XTA server, as far as it matters here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct XtaFault {
    /// The number of the standard (code list `urn:de:xta:webservice:codeliste:fehlernummer`).
    pub number: Option<u16>,
    /// SOAP says that the receiver is at fault, so the same message may pass later.
    pub receiver: bool,
    /// The message went out under this name before, and no answer is known.
    pub sent_before: bool,
    /// The header `Retry-After` as a span.
    pub retry_after: Option<Duration>,
}

/// The meaning of an XTA server's fault (XTA 2.1.1, fault numbers):
/// - 9024 (the id is used already) for a name under which the message went out before: it has it. For
///   a name that was never used it is no proof of anything;
/// - 9000 and 9030 to 9032 (unspecified, internal, directory, delivery): again;
/// - every other number (certificates, parameters, schemas, malware, unknown ids, synchronous): refused;
/// - no number: SOAP's word for who is at fault decides.
#[must_use]
pub fn of_xta(fault: XtaFault) -> Outcome {
    match fault.number {
        Some(9024) if fault.sent_before => Outcome::Has { taken_over: true },
        Some(9000 | 9030..=9032) => Outcome::Again { asked: fault.retry_after },
        Some(9010..=9101) => Outcome::Refused,
        _ if fault.receiver => Outcome::Again { asked: fault.retry_after },
        _ => Outcome::Refused,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn answer(status: u16) -> HttpAnswer {
        HttpAnswer { status, names_message: false, taken_over: None, retry_after: None }
    }

    #[test]
    fn the_table_of_the_design() {
        for status in [200, 201, 204, 299] {
            assert_eq!(of_http(answer(status)), Outcome::Has { taken_over: true }, "{status}");
        }
        assert_eq!(of_http(answer(202)), Outcome::Has { taken_over: false });
        for status in [408, 425, 429, 500, 502, 503, 504, 599] {
            assert_eq!(of_http(answer(status)), Outcome::Again { asked: None }, "{status}");
        }
        for status in [301, 302, 307, 308, 400, 401, 403, 404, 409, 410, 413, 415, 422, 451] {
            assert_eq!(of_http(answer(status)), Outcome::Refused, "{status}");
        }
        let repeated = HttpAnswer { names_message: true, ..answer(409) };
        assert_eq!(of_http(repeated), Outcome::Has { taken_over: true });
        assert_eq!(
            of_http(HttpAnswer { taken_over: Some(false), ..repeated }),
            Outcome::Has { taken_over: false }
        );
        assert_eq!(of_grpc(6, true, None), Outcome::Has { taken_over: true });
        assert_eq!(of_grpc(6, false, None), Outcome::Refused);
        assert_eq!(of_grpc(14, false, None), Outcome::Again { asked: None });
    }

    #[test]
    fn faults_of_an_xta_server() {
        let fault = |number, receiver, sent_before| {
            of_xta(XtaFault { number, receiver, sent_before, retry_after: None })
        };
        let again = Outcome::Again { asked: None };
        for number in [9000, 9030, 9031, 9032] {
            assert_eq!(fault(Some(number), true, false), again, "{number}");
            assert_eq!(fault(Some(number), false, true), again, "{number}");
        }
        for number in
            [9010, 9011, 9012, 9013, 9014, 9020, 9021, 9022, 9023, 9050, 9051, 9052, 9060, 9070, 9080, 9081]
        {
            assert_eq!(fault(Some(number), true, true), Outcome::Refused, "{number}");
        }
        assert_eq!(fault(Some(9024), false, true), Outcome::Has { taken_over: true });
        assert_eq!(fault(Some(9024), false, false), Outcome::Refused);
        assert_eq!(fault(None, true, true), again);
        assert_eq!(fault(None, false, true), Outcome::Refused);
        assert_eq!(fault(Some(4711), true, true), again);
    }

    proptest! {
        #[test]
        fn only_success_or_a_repeat_counts_as_delivered(
            status in any::<u16>(), names_message in any::<bool>(), taken_over in any::<Option<bool>>(),
        ) {
            let outcome = of_http(HttpAnswer { status, names_message, taken_over, retry_after: None });
            let has = matches!(outcome, Outcome::Has { .. });
            prop_assert_eq!(has, (200..300).contains(&status) || (status == 409 && names_message));
        }

        #[test]
        fn an_unknown_grpc_status_is_never_final(code in 17_i32..) {
            prop_assert_eq!(of_grpc(code, true, None), Outcome::Again { asked: None });
        }
    }
}

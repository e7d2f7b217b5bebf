//! Refusals as `application/problem+xml` (RFC 9457, appendix B: namespace and element names).

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};

use super::xml::Xml;
use crate::error::Refusal;
use crate::front::gate::Refused;
use crate::front::status;

const NAMESPACE: &str = "urn:ietf:rfc:7807";
const MEDIA_TYPE: &str = "application/problem+xml";

/// A refusal on its way out over HTTPS.
#[derive(Debug)]
pub(crate) struct Problem(pub Refusal);

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        Self(refusal)
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let meaning = status::meaning(self.0.code);
        let problem = status::problem(&self.0);
        let mut xml = Xml::new("problem", NAMESPACE);
        xml.text("type", format!("urn:amtsweg:problem:{}", problem.code))
            .text("title", meaning.title)
            .number("status", meaning.http.as_u16())
            .text("detail", &problem.reason)
            .text("code", &problem.code);
        if problem.line > 0 {
            xml.number("line", problem.line).number("column", problem.column);
        }
        xml.text("path", &problem.path)
            .list("explanation", "i", &problem.explanation)
            .list("xoev", "i", &problem.xoev)
            .list("xta", "i", &problem.xta);
        let mut response = written(meaning.http, xml);
        if let Some(seconds) = meaning.retry_after {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response.extensions_mut().insert(Refused(self.0.code));
        response
    }
}

/// An answer to a request that means nothing to the gateway: HTTP's own words, no code of ours.
pub(super) fn plain(status: StatusCode, detail: &str) -> Response {
    let mut xml = Xml::new("problem", NAMESPACE);
    xml.text("type", "about:blank")
        .text("title", status.canonical_reason().unwrap_or("Error"))
        .number("status", status.as_u16())
        .text("detail", detail);
    written(status, xml)
}

fn written(status: StatusCode, xml: Xml) -> Response {
    (status, [(header::CONTENT_TYPE, MEDIA_TYPE)], xml.finish("problem")).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::{Code, Location};
    use http_body_util::BodyExt as _;

    #[tokio::test]
    async fn says_everything_and_escapes_it() {
        let place = Location { offset: 9, line: 3, column: 7, path: "/a/b".to_owned() };
        let refusal = Refusal::new(Code::Quota, "a < b & c").at(place).explained(vec!["<why>".to_owned()]);
        let response = Problem(refusal).into_response();
        assert_eq!(response.status(), 429);
        assert_eq!(response.headers()["content-type"], MEDIA_TYPE);
        assert_eq!(response.headers()["retry-after"], "5");
        let body = response.into_body().collect().await.unwrap().to_bytes();
        let body = std::str::from_utf8(&body).unwrap();
        for piece in [
            "<status>429</status>",
            "<detail>a &lt; b &amp; c</detail>",
            "<code>AW-0303</code>",
            "<line>3</line><column>7</column><path>/a/b</path>",
            "<explanation><i>&lt;why&gt;</i></explanation>",
            "<xta><i>9030</i></xta>",
        ] {
            assert!(body.contains(piece), "{piece} in {body}");
        }
    }
}

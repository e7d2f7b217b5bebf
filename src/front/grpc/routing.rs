//! Who is competent?

use tonic::{Request, Response, Status};

use super::{Service, caller};
use crate::domain::Timestamp;
use crate::error::{Code, Refusal};
use crate::front::report::route;
use crate::front::status::{problem, status};
use crate::proto;
use crate::route::{Answer, Outcome, Query};

#[tonic::async_trait]
impl proto::routing_server::Routing for Service {
    async fn explain(
        &self,
        request: Request<proto::ExplainRequest>,
    ) -> Result<Response<proto::ExplainResponse>, Status> {
        caller(&request, None)?;
        let query = query(&request.into_inner()).map_err(|refusal| status(&refusal))?;
        let directory = self.core.parts.directory.load();
        let Answer { outcome, explanation } = directory.ask(&query);
        let refused = |name: &str, code, reason: String| proto::ExplainResponse {
            outcome: name.to_owned(),
            route: None,
            problem: Some(problem(&Refusal::new(code, reason))),
            explanation: explanation.clone(),
        };
        Ok(Response::new(match outcome {
            Outcome::Connected(placement) => proto::ExplainResponse {
                outcome: "connected".to_owned(),
                route: Some(route(&placement, &directory, Vec::new())),
                problem: None,
                explanation,
            },
            Outcome::Nobody => refused(
                "nobody",
                Code::NobodyCompetent,
                "nobody is competent for this service in this area on this day; check both keys".to_owned(),
            ),
            Outcome::NotConnected(authority) => refused(
                "not-connected",
                Code::NotConnected,
                format!("{authority} is competent but not connected; send it on paper or ask it to connect"),
            ),
            Outcome::Ambiguous(all) => {
                let names: Vec<_> = all.iter().map(ToString::to_string).collect();
                let reason =
                    format!("{} are competent at the same level; name the reader you mean", names.join(", "));
                refused("ambiguous", Code::Ambiguous, reason)
            }
        }))
    }
}

fn query(request: &proto::ExplainRequest) -> Result<Query, Refusal> {
    let wrong = |reason: String| Refusal::new(Code::SchemaInvalid, reason);
    let date = if request.date.is_empty() {
        Timestamp::now().date()
    } else {
        request.date.parse().map_err(|_| wrong("the date reads YYYY-MM-DD".to_owned()))?
    };
    Ok(Query {
        service: request.service.parse().map_err(|e| wrong(format!("{e}")))?,
        area: request.area.parse().map_err(|e| wrong(format!("{e}")))?,
        date,
    })
}

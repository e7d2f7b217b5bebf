//! For operators: queues, messages, and the verbs on them.

use std::collections::BTreeMap;

use tonic::{Request, Response, Status};

use super::{Service, backup, caller, page};
use crate::domain::{EndpointControl, EndpointId, Record, Role, Timestamp};
use crate::error::{Code, Refusal};
use crate::front::Core;
use crate::front::report::{parse_id, way};
use crate::front::status::status;
use crate::intake::store_refusal;
use crate::proto;
use crate::store::{Depth, Filter};

pub(super) type Reply<T> = Result<Response<T>, Status>;

impl Service {
    fn shown(&self, result: Result<std::sync::Arc<Record>, Refusal>) -> Reply<proto::Report> {
        let record = result.map_err(|refusal| status(&refusal))?;
        Ok(Response::new(self.core.report(&record, true)))
    }

    async fn suspend_or_resume(
        &self,
        request: Request<proto::EndpointRequest>,
        suspended: bool,
    ) -> Reply<proto::Queue> {
        let by = operator(&request)?;
        let request = request.into_inner();
        let work = async {
            let endpoint: EndpointId = request.endpoint.parse().map_err(|_| no_endpoint())?;
            let steer = &self.core.parts.steer;
            steer.suspend(&endpoint, suspended, &by, &request.reason, Timestamp::now()).await?;
            self.core.parts.deliver.wake();
            let queues = queues(&self.core).await?;
            queues.into_iter().find(|q| q.endpoint == endpoint.as_str()).ok_or_else(no_endpoint)
        };
        work.await.map(Response::new).map_err(|refusal| status(&refusal))
    }
}

fn operator<T>(request: &Request<T>) -> Result<String, Status> {
    Ok(caller(request, Some(Role::Operator))?.entry.account.name.to_string())
}

fn no_endpoint() -> Refusal {
    Refusal::new(Code::UnknownMessage, "there is no such endpoint; `queues` lists them")
}

#[tonic::async_trait]
impl proto::operator_server::Operator for Service {
    async fn queues(&self, request: Request<proto::QueuesRequest>) -> Reply<proto::QueuesResponse> {
        operator(&request)?;
        let queues = queues(&self.core).await.map_err(|refusal| status(&refusal))?;
        Ok(Response::new(proto::QueuesResponse { queues }))
    }

    async fn messages(&self, request: Request<proto::MessagesRequest>) -> Reply<proto::MessagesResponse> {
        operator(&request)?;
        let request = request.into_inner();
        let limit = page(request.limit);
        let work = async {
            let endpoint = match request.endpoint.as_str() {
                "" => None,
                text => Some(text.parse().map_err(|_| no_endpoint())?),
            };
            let filter = Filter {
                any_of: &[],
                endpoint,
                state: Some(request.state).filter(|state| !state.is_empty()),
                account: None,
                after: (request.after > 0).then_some(request.after),
                limit,
            };
            self.core.parts.read.list(&filter).await.map_err(store_refusal)
        };
        let records = work.await.map_err(|refusal| status(&refusal))?;
        let full = records.len() >= limit;
        let next_after = records.last().filter(|_| full).map_or(0, |last| last.sequence);
        let reports = records.iter().map(|record| self.core.report(record, true)).collect();
        Ok(Response::new(proto::MessagesResponse { reports, next_after }))
    }

    async fn show(&self, request: Request<proto::StatusRequest>) -> Reply<proto::Report> {
        operator(&request)?;
        let id = parse_id(&request.into_inner().message_id).map_err(|refusal| status(&refusal))?;
        self.shown(self.core.any(&id).await)
    }

    async fn retry(&self, request: Request<proto::ActRequest>) -> Reply<proto::Report> {
        let by = operator(&request)?;
        let request = request.into_inner();
        let id = parse_id(&request.message_id).map_err(|refusal| status(&refusal))?;
        let done = self.core.parts.steer.retry(&id, &by, &request.reason, Timestamp::now()).await;
        self.core.parts.deliver.wake();
        self.shown(done)
    }

    async fn reroute(&self, request: Request<proto::RerouteRequest>) -> Reply<proto::Report> {
        let by = operator(&request)?;
        let request = request.into_inner();
        let work = async {
            let id = parse_id(&request.message_id)?;
            let reader = match request.reader.as_str() {
                "" => None,
                text => Some(text.parse().map_err(|e| Refusal::new(Code::SchemaInvalid, format!("{e}")))?),
            };
            let steer = &self.core.parts.steer;
            steer.reroute(&id, reader.as_ref(), &by, &request.reason, Timestamp::now()).await
        };
        let done = work.await;
        self.core.parts.deliver.wake();
        self.shown(done)
    }

    async fn park(&self, request: Request<proto::ActRequest>) -> Reply<proto::Report> {
        let by = operator(&request)?;
        let request = request.into_inner();
        let id = parse_id(&request.message_id).map_err(|refusal| status(&refusal))?;
        self.shown(self.core.parts.steer.park(&id, &by, &request.reason, Timestamp::now()).await)
    }

    async fn suspend(&self, request: Request<proto::EndpointRequest>) -> Reply<proto::Queue> {
        self.suspend_or_resume(request, true).await
    }

    async fn resume(&self, request: Request<proto::EndpointRequest>) -> Reply<proto::Queue> {
        self.suspend_or_resume(request, false).await
    }

    async fn begin_backup(&self, request: Request<proto::BackupRequest>) -> Reply<proto::BackupReport> {
        let by = operator(&request)?;
        backup::begin(&self.core, by, request.into_inner().full).await
    }

    async fn get_backup(&self, request: Request<proto::BackupStateRequest>) -> Reply<proto::BackupReport> {
        operator(&request)?;
        backup::state(&self.core).await
    }
}

/// Every endpoint of the directory, and those that only messages know any more.
async fn queues(core: &Core) -> Result<Vec<proto::Queue>, Refusal> {
    let depths = core.parts.read.depths().await.map_err(store_refusal)?;
    let controls = core.parts.read.controls().await.map_err(store_refusal)?;
    let mut depths: BTreeMap<EndpointId, Depth> =
        depths.into_iter().map(|depth| (depth.endpoint.clone(), depth)).collect();
    let controls: BTreeMap<EndpointId, EndpointControl> =
        controls.into_iter().map(|control| (control.endpoint.clone(), control)).collect();
    let directory = core.parts.directory.load();
    let mut all = Vec::new();
    for endpoint in directory.endpoints() {
        let depth = depths.remove(&endpoint.id);
        let control = controls.get(&endpoint.id);
        all.push(queue(core, &endpoint.id, way(endpoint.way()), depth, control));
    }
    for (id, depth) in depths {
        let control = controls.get(&id);
        all.push(queue(core, &id, "gone", Some(depth), control));
    }
    all.sort_by(|a, b| a.endpoint.cmp(&b.endpoint));
    Ok(all)
}

fn queue(
    core: &Core,
    id: &EndpointId,
    way: &str,
    depth: Option<Depth>,
    control: Option<&EndpointControl>,
) -> proto::Queue {
    let condition = core.parts.deliver.condition(id);
    let oldest = depth.as_ref().and_then(|depth| depth.oldest);
    let by_state = depth.map(|depth| depth.by_state).unwrap_or_default();
    proto::Queue {
        endpoint: id.to_string(),
        way: way.to_owned(),
        by_state: by_state.into_iter().map(|(state, count)| (state.to_owned(), count)).collect(),
        oldest_seconds: oldest.map_or(0, |at| Timestamp::now().since(at).as_secs()),
        suspended: control.is_some_and(|control| control.suspended),
        suspended_reason: control.filter(|c| c.suspended).map_or_else(String::new, |c| c.reason.clone()),
        breaker: condition.as_ref().map_or_else(String::new, |c| c.breaker.to_owned()),
        in_flight: condition.map_or(0, |c| u32::try_from(c.in_flight).unwrap_or(u32::MAX)),
    }
}

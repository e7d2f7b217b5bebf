//! The operators' commands: watch the queues and steer messages and endpoints.

use std::collections::BTreeSet;

use clap::Args;
use serde_json::{Value, json};
use tonic::transport::Channel;
use tonic::{Response, Status};

use super::client::{OperatorConnection, refused};
use super::output::{Table, age, printable, say, say_json};
use super::report::{report_json, say_report};
use super::{Done, Ended, Fault};
use crate::proto::operator_client::OperatorClient;
use crate::proto::{
    ActRequest, EndpointRequest, MessagesRequest, Queue, QueuesRequest, Report, RerouteRequest, StatusRequest,
};

/// Messages asked for at once.
const PAGE: u32 = 200;

/// `queues`.
#[derive(Debug, Args)]
pub struct QueuesArgs {
    /// Connection.
    #[command(flatten)]
    pub connection: OperatorConnection,
    /// The queues as a JSON array.
    #[arg(long)]
    pub json: bool,
}

/// `messages`.
#[derive(Debug, Args)]
pub struct MessagesArgs {
    /// Connection.
    #[command(flatten)]
    pub connection: OperatorConnection,
    /// Of this endpoint.
    #[arg(long, default_value = "")]
    pub endpoint: String,
    /// In this state, e.g. Parked.
    #[arg(long, default_value = "", value_parser = [
        "", "Queued", "Sending", "Delivered", "Available", "Leased", "Closed", "Parked", "Returned",
        "Deferred",
    ], hide_possible_values = true)]
    pub state: String,
    /// At most so many.
    #[arg(long, default_value_t = 1_000)]
    pub limit: usize,
    /// The reports as a JSON array.
    #[arg(long)]
    pub json: bool,
}

/// `show`.
#[derive(Debug, Args)]
pub struct ShowArgs {
    /// Connection.
    #[command(flatten)]
    pub connection: OperatorConnection,
    /// The message's id.
    pub id: String,
    /// The report as JSON.
    #[arg(long)]
    pub json: bool,
}

/// `retry`, `park`.
#[derive(Debug, Args)]
pub struct ActArgs {
    /// Connection.
    #[command(flatten)]
    pub connection: OperatorConnection,
    /// The message's id.
    pub id: String,
    /// Why; stands in the message's history (no personal data).
    #[arg(long, default_value = "")]
    pub reason: String,
    /// The report as JSON.
    #[arg(long)]
    pub json: bool,
}

/// `reroute`.
#[derive(Debug, Args)]
pub struct RerouteArgs {
    /// Connection.
    #[command(flatten)]
    pub connection: OperatorConnection,
    /// The message's id.
    pub id: String,
    /// The new reader (prefix:key); without it the directory is asked anew.
    #[arg(long, default_value = "")]
    pub reader: String,
    /// Why; stands in the message's history (no personal data).
    #[arg(long, default_value = "")]
    pub reason: String,
    /// The report as JSON.
    #[arg(long)]
    pub json: bool,
}

/// `suspend`, `resume`.
#[derive(Debug, Args)]
pub struct EndpointArgs {
    /// Connection.
    #[command(flatten)]
    pub connection: OperatorConnection,
    /// The endpoint's name in the directory.
    pub endpoint: String,
    /// Why; shown in the queues.
    #[arg(long, default_value = "")]
    pub reason: String,
    /// The queue as JSON.
    #[arg(long)]
    pub json: bool,
}

async fn open(connection: &OperatorConnection) -> Result<OperatorClient<Channel>, Fault> {
    Ok(OperatorClient::new(connection.plain().open().await?))
}

/// Runs `queues`.
///
/// # Errors
/// When the gateway can't be asked.
pub async fn queues(args: QueuesArgs) -> Done {
    match open(&args.connection).await?.queues(QueuesRequest {}).await {
        Err(status) => return refused(&status, args.json),
        Ok(answer) if args.json => {
            say_json(&answer.get_ref().queues.iter().map(queue_json).collect::<Vec<_>>().into())?;
        }
        Ok(answer) => say_queues(&answer.get_ref().queues)?,
    }
    Ok(Ended::Well)
}

/// Runs `messages`.
///
/// # Errors
/// When the gateway can't be asked.
pub async fn messages(args: MessagesArgs) -> Done {
    let mut client = open(&args.connection).await?;
    let mut reports: Vec<Report> = Vec::new();
    let mut after = 0;
    while reports.len() < args.limit {
        let left = u32::try_from(args.limit - reports.len()).unwrap_or(PAGE);
        let (endpoint, state) = (args.endpoint.clone(), args.state.clone());
        let request = MessagesRequest { endpoint, state, after, limit: left.min(PAGE) };
        let page = match client.messages(request).await {
            Ok(answer) => answer.into_inner(),
            Err(status) => return refused(&status, args.json),
        };
        reports.extend(page.reports);
        if page.next_after <= after {
            break;
        }
        after = page.next_after;
    }
    if args.json {
        say_json(&reports.iter().map(report_json).collect::<Vec<_>>().into())?;
        return Ok(Ended::Well);
    }
    let mut table =
        Table::new(&["MESSAGE", "STATE", "ACCEPTED", "TRIES", "ENDPOINT", "SERVICE", "AREA", "LAST"]);
    for report in reports {
        let last = report.facts.last().map(|f| format!("{} {}", f.kind, f.detail)).unwrap_or_default();
        table.row([
            report.message_id,
            report.state,
            report.accepted_at,
            report.attempts.to_string(),
            report.route.map(|r| r.endpoint).unwrap_or_default(),
            report.service,
            report.area,
            last.trim().chars().take(60).collect(),
        ]);
    }
    if table.is_empty() {
        say("No such messages.")?
    } else {
        table.say()?
    }
    Ok(Ended::Well)
}

/// Runs `show`.
///
/// # Errors
/// When the gateway can't be asked.
pub async fn show(args: ShowArgs) -> Done {
    match open(&args.connection).await?.show(StatusRequest { message_id: args.id }).await {
        Err(status) => return refused(&status, args.json),
        Ok(report) if args.json => say_json(&report_json(report.get_ref()))?,
        Ok(report) => say_report(report.get_ref())?,
    }
    Ok(Ended::Well)
}

/// Runs `retry`.
///
/// # Errors
/// When the gateway can't be asked.
pub async fn retry(args: ActArgs) -> Done {
    let request = ActRequest { message_id: args.id, reason: args.reason };
    acted(open(&args.connection).await?.retry(request).await, args.json)
}

/// Runs `park`.
///
/// # Errors
/// When the gateway can't be asked.
pub async fn park(args: ActArgs) -> Done {
    let request = ActRequest { message_id: args.id, reason: args.reason };
    acted(open(&args.connection).await?.park(request).await, args.json)
}

/// Runs `reroute`.
///
/// # Errors
/// When the gateway can't be asked.
pub async fn reroute(args: RerouteArgs) -> Done {
    let request = RerouteRequest { message_id: args.id, reader: args.reader, reason: args.reason };
    acted(open(&args.connection).await?.reroute(request).await, args.json)
}

/// Runs `suspend`.
///
/// # Errors
/// When the gateway can't be asked.
pub async fn suspend(args: EndpointArgs) -> Done {
    let request = EndpointRequest { endpoint: args.endpoint, reason: args.reason };
    switched(open(&args.connection).await?.suspend(request).await, args.json)
}

/// Runs `resume`.
///
/// # Errors
/// When the gateway can't be asked.
pub async fn resume(args: EndpointArgs) -> Done {
    let request = EndpointRequest { endpoint: args.endpoint, reason: args.reason };
    switched(open(&args.connection).await?.resume(request).await, args.json)
}

fn acted(answer: Result<Response<Report>, Status>, json: bool) -> Done {
    match answer {
        Err(status) => return refused(&status, json),
        Ok(report) if json => say_json(&report_json(report.get_ref()))?,
        Ok(report) => {
            let report = report.get_ref();
            let endpoint = report.route.as_ref().map_or("", |r| r.endpoint.as_str());
            say(printable(&format!("{} is {} for {endpoint}", report.message_id, report.state)))?;
        }
    }
    Ok(Ended::Well)
}

fn switched(answer: Result<Response<Queue>, Status>, json: bool) -> Done {
    match answer {
        Err(status) => return refused(&status, json),
        Ok(queue) if json => say_json(&queue_json(queue.get_ref()))?,
        Ok(queue) => {
            let queue = queue.get_ref();
            let now = if queue.suspended { "suspended" } else { "working" };
            say(printable(&format!("{} is {now}", queue.endpoint)))?;
        }
    }
    Ok(Ended::Well)
}

fn queue_json(queue: &Queue) -> Value {
    let by_state: std::collections::BTreeMap<_, _> = queue.by_state.iter().collect();
    json!({
        "endpoint": queue.endpoint, "way": queue.way, "by_state": by_state,
        "oldest_seconds": queue.oldest_seconds, "suspended": queue.suspended,
        "suspended_reason": queue.suspended_reason, "breaker": queue.breaker, "in_flight": queue.in_flight,
    })
}

/// Prints the queues: a column for each state that occurs, in the order of a message's way.
fn say_queues(queues: &[Queue]) -> Result<(), Fault> {
    const WAY: [&str; 9] =
        ["Queued", "Sending", "Delivered", "Deferred", "Available", "Leased", "Parked", "Returned", "Closed"];
    let occurring: BTreeSet<&str> =
        queues.iter().flat_map(|q| q.by_state.keys().map(String::as_str)).collect();
    let states: Vec<&str> = WAY.into_iter().filter(|s| occurring.contains(s)).collect();
    let upper: Vec<String> = states.iter().map(|s| s.to_uppercase()).collect();
    let mut head = vec!["ENDPOINT", "WAY"];
    head.extend(upper.iter().map(String::as_str));
    head.extend(["OLDEST", "BREAKER", "NOTE"]);
    let mut table = Table::new(&head);
    for queue in queues {
        let mut cells = vec![queue.endpoint.clone(), queue.way.clone()];
        cells.extend(states.iter().map(|s| queue.by_state.get(*s).copied().unwrap_or(0).to_string()));
        cells.push(if queue.oldest_seconds > 0 { age(queue.oldest_seconds) } else { "-".to_owned() });
        cells.push(queue.breaker.clone());
        cells.push(match (queue.suspended, queue.suspended_reason.as_str()) {
            (false, _) => String::new(),
            (true, "") => "suspended".to_owned(),
            (true, why) => format!("suspended: {why}"),
        });
        table.row(cells);
    }
    table.say()
}

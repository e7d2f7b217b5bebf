//! `amtsweg demo`: the whole main job on this machine. A gateway, a portal that hands in signed
//! applications, one authority that is pushed to and fails at first, one that pulls. Everything
//! is real: the ports, the certificates, the signatures, the store.

mod again;
mod authority;
mod campaign;
mod cases;
mod folder;
mod inbox;
mod reader;
mod samples;
mod summary;

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use clap::Args;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tonic::transport::Channel;

use super::client::Connection;
use super::output::{note, say, say_json};
use super::{Done, Ended, Fault};
use crate::app::{App, StartError};
use crate::verify::Verifier;
use authority::PushedTo;
use folder::Folder;
use inbox::Inbox;
use reader::Reader;
use summary::Summary;

/// The port of the sample authority in a demo that stays.
const AUTHORITY_PORT: u16 = 8444;
/// How long the pulling authority leaves a message to whoever tries the commands by hand.
const PATIENCE: Duration = Duration::from_secs(30);

/// `demo`.
#[derive(Debug, Args)]
pub struct DemoArgs {
    /// The demo's folder: made if missing, carried on with if it is a demo's.
    #[arg(long, default_value = "demo")]
    pub dir: PathBuf,
    /// End when all messages are through; uses free ports.
    #[arg(long)]
    pub once: bool,
    /// Good messages to carry.
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub messages: u32,
    /// The summary as one JSON object on standard output, progress on standard error.
    #[arg(long)]
    pub json: bool,
}

/// Where progress goes.
#[derive(Clone, Copy, Debug)]
pub struct Voice {
    json: bool,
}

impl Voice {
    /// Tells one line of progress.
    ///
    /// # Errors
    /// When nobody reads the output any more.
    pub fn tell(self, line: impl AsRef<str>) -> Result<(), Fault> {
        if self.json {
            note(line);
            Ok(())
        } else {
            say(line)
        }
    }
}

/// Runs the demo: exit 1 when a good message was not closed or a bad one not refused with its code.
///
/// # Errors
/// When the folder, a port or the gateway can't be used.
pub async fn run(args: DemoArgs) -> Done {
    let voice = Voice { json: args.json };
    let mut scene = Scene::build(&args, voice).await?;
    let played = scene.play(args.messages, voice).await;
    let ended = match &played {
        Ok(summary) if summary.all_good() => Ended::Well,
        _ => Ended::Refused,
    };
    if let Ok(summary) = &played {
        summary.tell(voice)?;
        if args.json {
            say_json(&summary.json())?;
        }
    }
    if !args.once && played.is_ok() {
        scene.leave_time();
        scene.tell_how_to_go_on(voice)?;
        until_stopped().await?;
        voice.tell("Stopping …")?;
    }
    scene.end().await;
    played?;
    Ok(ended)
}

/// Everything that runs.
struct Scene {
    folder: Folder,
    app: App,
    portal: Channel,
    operator: Channel,
    patience: watch::Sender<Duration>,
    stop: CancellationToken,
    reader: tokio::task::JoinHandle<()>,
    verifier: Arc<Verifier>,
    /// The folder is this process's as long as this is open.
    _lock: std::fs::File,
}

impl Scene {
    async fn build(args: &DemoArgs, voice: Voice) -> Result<Self, Fault> {
        Folder::check(&args.dir)?;
        let lock = Folder::lock(&args.dir)?;
        let wish = Folder::port_of(&args.dir).unwrap_or(if args.once { 0 } else { AUTHORITY_PORT });
        let listener = authority::bind(wish).await?;
        let port = listener.local_addr().map_err(|e| Fault::said(e.to_string()))?.port();
        let folder = Folder::prepare(&args.dir, port)?;
        voice.tell(format!("Folder      {}", folder.path("").display()))?;
        let stop = CancellationToken::new();
        let verifier = Arc::new(inbox::verifier(&folder.pki())?);
        let inbox = Inbox::open(authority::folder(&folder.path(""), "pushed-to"), verifier.clone())?;
        let pushed_to = PushedTo::start(listener, &folder.pki(), inbox, stop.clone())?;
        log_to(&folder.path("amtsweg.log"))?;
        let app = start_gateway(&folder, args.once).await?;
        let portal = connect(&folder, app.addr(), "portal").await?;
        let operator = connect(&folder, app.operators_addr(), "operator").await?;
        voice.tell(format!("Gateway     {}", url(app.addr())))?;
        voice.tell(format!("Operators   {}", url(app.operators_addr())))?;
        voice.tell(format!("Authority   {} (is pushed to, answers 503 at first)", url(pushed_to.addr)))?;
        voice.tell("Authority   account \"authority\" (pulls from its mailbox)")?;
        let (patience, patient) = watch::channel(Duration::ZERO);
        let inbox = Inbox::open(authority::folder(&folder.path(""), "pulling"), verifier.clone())?;
        let channel = connect(&folder, app.addr(), "authority").await?;
        let reader = tokio::spawn(Reader::new(channel, inbox, patient).run(stop.clone()));
        Ok(Self { folder, app, portal, operator, patience, stop, reader, verifier, _lock: lock })
    }

    /// Carries the messages.
    async fn play(&mut self, messages: u32, voice: Voice) -> Result<Summary, Fault> {
        let portal = cases::Portal::open(&self.folder)?;
        samples::write(&self.folder, &portal, &self.verifier)?;
        let mut faults = Vec::new();
        let (finished, left) = again::finish_old(&self.operator, voice).await?;
        faults.extend(left);
        let good = portal.good(messages)?;
        voice.tell(format!("\n{messages} applications, handed in over gRPC with mutual TLS:"))?;
        let begun = Instant::now();
        // What one message may take (repeats included), and all of them.
        let deadline = Duration::from_secs(60) + Duration::from_millis(100) * messages;
        let first = good.first().cloned();
        let outcome = campaign::carry(&self.portal, good, deadline, voice).await?;
        let took = begun.elapsed();
        if let Some(first) = first {
            voice.tell("\nThe first one handed in again:")?;
            if let Err(why) = again::hand_in(&self.portal, &first, &outcome, voice).await? {
                faults.push(why);
            }
        }
        voice.tell("\nMessages that must be refused:")?;
        let refused = campaign::provoke(&self.portal, portal.bad(&outcome)?, voice).await?;
        Ok(Summary { outcome, refused, finished, faults, took })
    }

    /// From now on the pulling authority is slow, so that people can take messages themselves.
    fn leave_time(&self) {
        self.patience.send_replace(PATIENCE);
    }

    fn tell_how_to_go_on(&self, voice: Voice) -> Result<(), Fault> {
        let dir = self.folder.path("");
        let dir = dir.display().to_string();
        let dir = dir.trim_end_matches('/');
        let main = url(self.app.addr());
        let operators = url(self.app.operators_addr());
        let mut lines = vec![
            String::new(),
            "Still running. Try it in another terminal:".to_owned(),
            format!(
                "  export AMTSWEG_URL={main} AMTSWEG_OPERATOR_URL={operators} PKI={dir}/pki AMTSWEG_CA={dir}/pki/ca.pem"
            ),
            "  # a portal hands in an application and asks what became of it".to_owned(),
            format!("  amtsweg submit --cert $PKI/portal.pem --key $PKI/portal.key {dir}/samples/01-*.xml"),
            "  amtsweg status --cert $PKI/portal.pem --key $PKI/portal.key MESSAGE_ID".to_owned(),
            format!(
                "  # an authority pulls (the sample authority leaves messages alone for {} s)",
                PATIENCE.as_secs()
            ),
            "  amtsweg list --cert $PKI/authority.pem --key $PKI/authority.key".to_owned(),
        ];
        lines.extend(self.with_a_public_client(dir, &main));
        lines.extend([
            "  # an operator looks at the queues".to_owned(),
            "  amtsweg queues --cert $PKI/operator.pem --key $PKI/operator.key".to_owned(),
            format!("  curl --cacert $AMTSWEG_CA {operators}/metrics"),
            "Ctrl-C ends it; `amtsweg demo` with the same folder carries on.".to_owned(),
        ]);
        lines.iter().try_for_each(|line| voice.tell(line))
    }

    /// How a client that others wrote lists the sample authority's mailbox.
    fn with_a_public_client(&self, dir: &str, main: &str) -> Vec<String> {
        let portal = cases::Portal::open(&self.folder);
        let Some((number, reader)) = portal.as_ref().ok().and_then(cases::Portal::pulled) else {
            return Vec::new();
        };
        let there = format!("{dir}/back-office/xta");
        vec![
            "  # the same with a public XTA 2 client (Python 3.12: pip install xta-tool==0.9.0)".to_owned(),
            format!(
                "  mkdir -p {there} && cp $PKI/ca.pem {there}/ca.crt && cp $PKI/authority.pem {there}/tls.crt && \
                 cp $PKI/authority.key {there}/tls.key"
            ),
            format!(
                "  printf 'base_url = \"{main}\"\\n[self_identifier]\\nvalue = \"{reader}\"\\n' > {there}/config.toml"
            ),
            format!(
                "  amtsweg submit --cert $PKI/portal.pem --key $PKI/portal.key {dir}/samples/{number:02}-*.xml && \
                 XDG_CONFIG_HOME={dir}/back-office xta ls"
            ),
        ]
    }

    async fn end(self) {
        self.stop.cancel();
        // It ends with the token; a panic of its own was told by the runtime.
        let _ = self.reader.await;
        drop((self.portal, self.operator));
        self.app.shutdown().await;
    }
}

/// The gateway's log goes to a file beside its data: the terminal belongs to the messages.
fn log_to(path: &Path) -> Result<(), Fault> {
    let file = std::fs::OpenOptions::new().create(true).append(true).open(path);
    let file = file.map_err(|e| Fault::file("write", path, &e))?;
    let filter = tracing_subscriber::EnvFilter::new("warn,amtsweg=info");
    let log = tracing_subscriber::fmt().json().flatten_event(true).with_current_span(false);
    // A log that is there already stays: the demo works without its own.
    let _ = log.with_env_filter(filter).with_writer(std::sync::Mutex::new(file)).try_init();
    Ok(())
}

/// Starts the gateway of the folder's configuration; on free ports for `--once`.
async fn start_gateway(folder: &Folder, once: bool) -> Result<App, Fault> {
    let mut config = super::serve::load(&folder.config_file())?;
    if once {
        let free = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        config.listen.address = free;
        config.listen.operators = free;
    }
    let listen = config.listen.clone();
    App::start(config).await.map_err(|error| match error {
        StartError::Front(error) => Fault::said(format!(
            "{error} in {} (now {} and {}), or say --once to use free ports",
            folder.config_file().display(),
            listen.address,
            listen.operators
        )),
        other => Fault::said(format!("the gateway did not start: {other}")),
    })
}

fn url(addr: SocketAddr) -> String {
    format!("https://localhost:{}", addr.port())
}

async fn connect(folder: &Folder, addr: SocketAddr, account: &str) -> Result<Channel, Fault> {
    let pki = folder.pki();
    let file = |name: &str| -> PathBuf { Path::new(&pki).join(name) };
    Connection {
        url: url(addr),
        ca: file("ca.pem"),
        cert: file(&format!("{account}.pem")),
        key: file(&format!("{account}.key")),
    }
    .open()
    .await
}

/// Waits for Ctrl-C or SIGTERM.
async fn until_stopped() -> Result<(), Fault> {
    use tokio::signal::unix::{SignalKind, signal};
    let fault = |e: std::io::Error| Fault::said(format!("cannot wait for signals: {e}"));
    let mut terminate = signal(SignalKind::terminate()).map_err(fault)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(fault)?;
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    Ok(())
}

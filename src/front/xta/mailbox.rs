//! The message box: lists, contents, taking over.

use std::sync::Arc;
use std::time::Instant;

use super::answer::Answer;
use super::fault::Fault;
use super::management::kept;
use super::metadata::{self, timestamp};
use super::names::{OSCI, WSA};
use super::pages::{Page, Selector};
use super::soap::Request;
use super::tree::Element;
use super::{State, author, message_id, visible};
use crate::domain::{Claim, Identifier, Record, Role, Timestamp};
use crate::error::{Code, Refusal};
use crate::front::gate::Caller;
use crate::front::report::unknown;
use crate::intake::store_refusal;
use crate::xml::escaped;

/// Messages of one page where the client names no number, and at most.
const USUAL: usize = 100;
const MOST: usize = 1_000;
/// Pending messages that are counted after a fetch; with more, this number is told.
const COUNTED: usize = 100;
/// Values in one selector.
const MAX_SELECTED: usize = 500;
/// Characters of one of them; longer ones name nothing.
const MAX_ID: usize = 200;
/// Messages tried at a look for a fetch without an id, while other clients take them, and looks.
const TRIED: usize = 64;
const LOOKS: usize = 32;
const REASONS: &str = "http://www.osci.eu/ws/2008/05/transport/MsgBox/reasons/";

/// The header block `MsgBoxResponse`.
fn pending(request_id: &str, items: usize) -> String {
    format!(
        "<osci:MsgBoxResponse xmlns:osci=\"{OSCI}\" MsgBoxRequestID=\"{}\"><osci:ItemsPending>{items}\
         </osci:ItemsPending></osci:MsgBoxResponse>",
        escaped(request_id)
    )
}

fn none(request_id: &str, reason: &str) -> String {
    format!(
        "<osci:MsgBoxResponse xmlns:osci=\"{OSCI}\" MsgBoxRequestID=\"{}\"><osci:NoMessageAvailable \
         reason=\"{REASONS}{reason}\"/></osci:MsgBoxResponse>",
        escaped(request_id)
    )
}

fn selector(body: &Element) -> Result<Selector, Fault> {
    let Some(element) = body.child(OSCI, "MsgSelector") else { return Ok(Selector::default()) };
    let texts = |name: &str| -> Vec<String> {
        let found = element.elements().filter(|e| e.is(WSA, name)).map(Element::text);
        found.map(|text| text.chars().take(MAX_ID).collect()).collect()
    };
    let time = |name: &str| match element.child(OSCI, name).map(Element::text) {
        None => Ok(None),
        Some(text) => match timestamp(&text) {
            Some(at) => Ok(Some(at)),
            None => Err(Fault::Sender(format!("{name} is no xs:dateTime"))),
        },
    };
    let (ids, relates_to) = (texts("MessageID"), texts("RelatesTo"));
    if ids.len() + relates_to.len() > MAX_SELECTED {
        return Err(Fault::Sender(format!("select at most {MAX_SELECTED} messages at once")));
    }
    Ok(Selector {
        ids,
        relates_to,
        from: time("MsgBoxEntryTimeFrom")?,
        to: time("MsgBoxEntryTimeTo")?,
        new: matches!(element.attribute("newEntry"), Some("true" | "1")),
        unknown: element.child(OSCI, "Extension").is_some(),
    })
}

/// Who asks, and for what.
struct Asking<'a> {
    state: &'a State,
    caller: &'a Caller,
}

impl Asking<'_> {
    /// Messages of a page, at most `limit`.
    async fn select(&self, page: &Page, limit: usize) -> Result<Vec<Arc<Record>>, Refusal> {
        let account = &self.caller.entry.account;
        let wanted = |record: &Record| {
            page.selector.selects(record) && visible(self.state, account, page.author.as_ref(), record)
        };
        let mailbox = &self.state.core.parts.mailbox;
        mailbox.select(account, page.after, limit, Timestamp::now(), wanted).await
    }

    fn remember(&self, id: &str, page: Page) {
        self.state.pages.put(self.caller.entry.account.name.as_str(), id, page, Instant::now());
    }

    fn remembered(&self, body: &Element) -> Result<(String, Option<Page>), Fault> {
        let id = body.attribute("MsgBoxRequestID").unwrap_or_default().chars().take(200).collect::<String>();
        if id.is_empty() {
            return Err(Fault::Sender("the attribute MsgBoxRequestID is missing".to_owned()));
        }
        let page = self.state.pages.get(self.caller.entry.account.name.as_str(), &id, Instant::now());
        Ok((id, page))
    }

    /// One page of a list.
    async fn page(&self, id: &str, mut page: Page) -> Result<Answer, Fault> {
        if page.selector.unknown {
            let headers = none(id, "SearchArgsInvalid");
            return Ok(Answer::Plain {
                headers,
                body: format!("<osci:MsgStatusList xmlns:osci=\"{OSCI}\"/>"),
            });
        }
        let mut found = self.select(&page, (page.items + MOST).min(crate::mailbox::MAX_PAGE)).await?;
        let pending_items = found.len().saturating_sub(page.items);
        found.truncate(page.items);
        let header = if found.is_empty() { none(id, "NoMatch") } else { pending(id, pending_items) };
        let mut body = format!("<osci:MsgStatusList xmlns:osci=\"{OSCI}\">");
        for record in &found {
            let words = kept(self.state, record).await?;
            let metadata = metadata::given_back(record, words.as_ref());
            if page.metadata {
                metadata.write(&mut body);
            } else {
                attributes(&mut body, record, &metadata);
            }
        }
        body.push_str("</osci:MsgStatusList>");
        if let Some(last) = found.last() {
            page.after = last.sequence;
        }
        self.remember(id, page);
        Ok(Answer::Plain { headers: header, body })
    }

    /// A lease on the first message of a page that can be had.
    async fn lease(&self, page: &Page) -> Result<Option<(Arc<Record>, Claim)>, Fault> {
        if !page.selector.ids.is_empty() {
            return match self.first(self.named(page).await?).await? {
                Ok(leased) => Ok(Some(leased)),
                // Whoever names a message wants to know why it can't be had.
                Err(Some(refusal)) => Err(refusal.into()),
                Err(None) if page.after == 0 => Err(unknown().into()),
                Err(None) => Ok(None),
            };
        }
        // Where many take at once, all that a look found may be gone when it is tried: then it is looked
        // further on. To be told that there is nothing would be wrong.
        let mut from = page.clone();
        for _ in 0..LOOKS {
            let found = self.select(&from, TRIED).await?;
            let Some(last) = found.last().map(|record| record.sequence) else { break };
            if let Ok(leased) = self.first(found).await? {
                return Ok(Some(leased));
            }
            from.after = last;
        }
        Ok(None)
    }

    /// A lease on the first of these that can be had; else why the last could not.
    async fn first(
        &self,
        found: Vec<Arc<Record>>,
    ) -> Result<Result<(Arc<Record>, Claim), Option<Refusal>>, Fault> {
        let (account, mailbox) = (&self.caller.entry.account, &self.state.core.parts.mailbox);
        let mut last = None;
        for record in found {
            match mailbox.lease(account, &record.id, None, Timestamp::now()).await {
                Ok(leased) => return Ok(Ok(leased)),
                // Somebody else was faster.
                Err(refusal) if refusal.code == Code::LeaseLost => last = Some(refusal),
                Err(refusal) => return Err(refusal.into()),
            }
        }
        Ok(Err(last))
    }

    /// The messages that a selector names, fetchable or not, in order of acceptance.
    async fn named(&self, page: &Page) -> Result<Vec<Arc<Record>>, Fault> {
        let mut found = Vec::new();
        for id in &page.selector.ids {
            let Ok(id) = message_id(id) else { continue };
            let Some(record) = self.state.core.parts.read.get(&id).await.map_err(store_refusal)? else {
                continue;
            };
            let seen = visible(self.state, &self.caller.entry.account, page.author.as_ref(), &record);
            if seen && record.sequence > page.after && page.selector.selects(&record) {
                found.push(record);
            }
        }
        found.sort_unstable_by_key(|record| record.sequence);
        found.dedup_by_key(|record| record.sequence);
        Ok(found)
    }

    /// The next message of a page, with its contents.
    async fn message(&self, id: &str, mut page: Page, part: Part) -> Result<Answer, Fault> {
        if page.selector.unknown {
            return Ok(Answer::Plain { headers: none(id, "SearchArgsInvalid"), body: String::new() });
        }
        if part == Part::Header {
            let found = if page.selector.ids.is_empty() {
                self.select(&page, 1).await?
            } else {
                self.named(&page).await?
            };
            let Some(record) = found.first() else { return self.nothing(id, &page) };
            let words = kept(self.state, record).await?;
            let mut headers = metadata::given_back(record, words.as_ref()).to_xml();
            headers.push_str(&pending(id, found.len().saturating_sub(1)));
            page.after = record.sequence;
            self.remember(id, page);
            return Ok(Answer::Plain { headers, body: String::new() });
        }
        let Some((record, claim)) = self.lease(&page).await? else { return self.nothing(id, &page) };
        let give_back = || self.state.core.give_back(&self.caller.entry.account, &record.id, claim.token);
        let words = match kept(self.state, &record).await {
            Ok(words) => words,
            Err(fault) => {
                give_back().await;
                return Err(fault);
            }
        };
        page.after = record.sequence;
        let left = match page.selector.ids.len() {
            1 => 0,
            _ => self.select(&page, COUNTED).await.map(|left| left.len()).unwrap_or_default(),
        };
        let mut headers = pending(id, left);
        if part == Part::Envelope {
            headers.push_str(&metadata::given_back(&record, words.as_ref()).to_xml());
        }
        self.remember(id, page);
        let token = claim.token;
        Ok(Answer::Message { headers, record, kept: words, token })
    }

    fn nothing(&self, id: &str, page: &Page) -> Result<Answer, Fault> {
        self.remember(id, page.clone());
        Ok(Answer::Plain { headers: none(id, "NoMatch"), body: String::new() })
    }
}

/// What of a message is asked for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    Envelope,
    Header,
    Body,
}

fn attributes(out: &mut String, record: &Record, metadata: &Element) {
    let scenario = metadata.at(super::names::META, &["Qualifier", "BusinessScenario"]);
    let scenario = scenario.and_then(|e| e.elements().next()).map(|e| {
        match e.elements().find(|c| c.local() == "code") {
            Some(code) => code.text(),
            None => e.text(),
        }
    });
    let size = record.document.len + record.attachments.iter().map(|a| a.content.len).sum::<u64>();
    let size = i32::try_from(size).unwrap_or(i32::MAX);
    out.push_str(&format!(
        "<osci:MsgAttributes><wsa:MessageID xmlns:wsa=\"{WSA}\">{}</wsa:MessageID>",
        record.id
    ));
    for id in record.order.iter().flat_map(|order| &order.terms.relates_to) {
        out.push_str(&format!("<wsa:RelatesTo xmlns:wsa=\"{WSA}\">{}</wsa:RelatesTo>", escaped(id)));
    }
    let time = |name: &str, at: Option<String>| {
        at.map_or_else(String::new, |at| format!("<osci:{name}>{at}</osci:{name}>"))
    };
    let fetched = record.facts.iter().find(|fact| fact.kind == crate::domain::FactKind::Leased);
    let obsolete = record.order.as_ref().and_then(|order| order.terms.obsolete_after);
    out.push_str(&format!(
        "<osci:TypeOfBusinessScenario>{}</osci:TypeOfBusinessScenario><osci:MsgSize>{size}</osci:MsgSize>{}{}{}\
         </osci:MsgAttributes>",
        escaped(&scenario.unwrap_or_default()),
        time("ObsoleteAfterDate", obsolete.map(|day| day.to_string())),
        time("DeliveryTime", Some(record.starts(record.accepted_at).to_string())),
        time("InitialFetchedTime", fetched.map(|fact| fact.at.to_string())),
    ));
}

fn new_id() -> String {
    format!("urn:uuid:{}", uuid::Uuid::new_v4())
}

fn begin<'a>(
    state: &'a State,
    caller: &'a Caller,
    request: &Request,
) -> Result<(Asking<'a>, Option<Identifier>), Fault> {
    let author = author(caller, request)?;
    caller.require(Role::Authority)?;
    Ok((Asking { state, caller }, author))
}

/// `getStatusList`.
pub(super) async fn list(state: &State, caller: &Caller, request: &Request) -> Result<Answer, Fault> {
    let (asking, author) = begin(state, caller, request)?;
    let body = request.body(OSCI, "MsgBoxStatusListRequest")?;
    let items = match body.attribute("maxListItems") {
        None => USUAL,
        Some(text) => match text.trim().parse::<usize>() {
            Ok(items) if items > 0 => items.min(USUAL),
            _ => return Err(Fault::Sender("maxListItems is no positive number".to_owned())),
        },
    };
    let metadata = body.attribute("ListForm").is_some_and(|form| form == "MessageMetaData");
    let page = Page { author, selector: selector(body)?, after: 0, items, metadata };
    asking.page(&new_id(), page).await
}

/// `getNextStatusList`.
pub(super) async fn next_list(state: &State, caller: &Caller, request: &Request) -> Result<Answer, Fault> {
    let (asking, author) = begin(state, caller, request)?;
    let (id, page) = asking.remembered(request.body(OSCI, "MsgBoxGetNextRequest")?)?;
    match page.filter(|page| page.author == author) {
        Some(page) => asking.page(&id, page).await,
        None => Ok(Answer::Plain {
            headers: none(&id, "RequestIdInvalid"),
            body: format!("<osci:MsgStatusList xmlns:osci=\"{OSCI}\"/>"),
        }),
    }
}

/// `getMessage`.
pub(super) async fn fetch(state: &State, caller: &Caller, request: &Request) -> Result<Answer, Fault> {
    let (asking, author) = begin(state, caller, request)?;
    let body = request.body(OSCI, "MsgBoxFetchRequest")?;
    let part = match body.attribute("MsgPart") {
        None | Some("Envelope") => Part::Envelope,
        Some("Header") => Part::Header,
        Some("Body") => Part::Body,
        Some(_) => return Err(Fault::Sender("MsgPart is Envelope, Header or Body".to_owned())),
    };
    let page = Page { author, selector: selector(body)?, after: 0, items: 1, metadata: true };
    asking.message(&new_id(), page, part).await
}

/// `getNextMessage`. That a client names the last message it received closes nothing: that is for
/// `close` alone.
pub(super) async fn next(state: &State, caller: &Caller, request: &Request) -> Result<Answer, Fault> {
    let (asking, author) = begin(state, caller, request)?;
    let (id, page) = asking.remembered(request.body(OSCI, "MsgBoxGetNextRequest")?)?;
    match page.filter(|page| page.author == author) {
        Some(page) => asking.message(&id, page, Part::Envelope).await,
        None => Ok(Answer::Plain { headers: none(&id, "RequestIdInvalid"), body: String::new() }),
    }
}

/// `close`: the reader has taken the messages over.
pub(super) async fn close(state: &State, caller: &Caller, request: &Request) -> Result<Answer, Fault> {
    let (asking, author) = begin(state, caller, request)?;
    let body = request.body(OSCI, "MsgBoxCloseRequest")?;
    let ids: Vec<String> =
        body.elements().filter(|e| e.is(OSCI, "LastMsgReceived")).map(Element::text).collect();
    if ids.len() > MAX_SELECTED {
        return Err(Fault::Sender(format!("close at most {MAX_SELECTED} messages at once")));
    }
    let account = &asking.caller.entry.account;
    for id in ids {
        let id = message_id(&id)?;
        let record = state.core.parts.read.get(&id).await.map_err(store_refusal)?.ok_or_else(unknown)?;
        if !visible(state, account, author.as_ref(), &record) {
            return Err(unknown().into());
        }
        state.core.parts.mailbox.close_held(account, &id, Timestamp::now()).await?;
    }
    Ok(Answer::Plain { headers: String::new(), body: String::new() })
}

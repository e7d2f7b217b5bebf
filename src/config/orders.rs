//! `[xta]`: paths of the ports, and what payloads need not be.

use super::reader::Section;
use super::value::{list, one_or_more, parsed, text};
use crate::domain::{AccountName, Demand};
use crate::front::xta::{PayloadPolicy, Settings};

/// Characters of a path.
const MAX_PATH: usize = 200;
/// Paths that the gateway has for itself.
const OWN: [&str; 3] = ["/v1/", "/amtsweg.v1.", "/grpc."];

pub(super) fn xta(root: &mut Section<'_, '_>) -> Settings {
    let default = Settings::default();
    let mut s = root.section("xta");
    let mut paths = s.section("paths");
    let mut settings = Settings {
        management: paths.or("management", default.management, one_or_more(path)),
        send: paths.or("send", default.send, one_or_more(path)),
        mailbox: paths.or("mailbox", default.mailbox, one_or_more(path)),
        policies: Vec::new(),
    };
    let mut seen = std::collections::BTreeSet::new();
    let all = [&settings.management, &settings.send, &settings.mailbox];
    for path in all.into_iter().flatten() {
        if !seen.insert(path.as_str()) {
            paths.fault("", format!("has {path} twice: a path belongs to one port"));
        }
    }
    paths.end();
    for mut p in s.sections("policy") {
        settings.policies.push(PayloadPolicy {
            accounts: p.or("accounts", Vec::new(), list(parsed::<AccountName>)),
            types: p.or("types", Vec::new(), list(|value| text(value).map(str::to_owned))),
            signature: p.required("signature", "required, if-present or none", demand).unwrap_or_default(),
            schema: p.or("schema", Demand::IfPresent, demand),
        });
        p.end();
    }
    s.end();
    settings
}

fn path(value: &toml::de::DeValue<'_>) -> Result<String, String> {
    let text = text(value)?;
    let plain = |c: char| c.is_ascii_alphanumeric() || "/-_.".contains(c);
    let good = text.len() > 1 && text.len() <= MAX_PATH && text.starts_with('/') && text.chars().all(plain);
    if !good {
        return Err("must be a path such as \"/services/XTAService/ManagementPort\"".to_owned());
    }
    if OWN.iter().any(|own| text.starts_with(own)) {
        return Err("is a path of the gateway's other interfaces: choose another".to_owned());
    }
    Ok(text.to_owned())
}

fn demand(value: &toml::de::DeValue<'_>) -> Result<Demand, String> {
    match text(value)? {
        "required" => Ok(Demand::Required),
        "if-present" => Ok(Demand::IfPresent),
        "none" => Ok(Demand::None),
        _ => Err("must be required, if-present or none".to_owned()),
    }
}

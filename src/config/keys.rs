//! `[store.encryption]`: where the master keys are.

use toml::de::DeValue;

use super::Encryption;
use super::reader::Section;
use super::value::{There, boolean, list, text};
use crate::store::MasterSource;

/// What a key in a systemd credential begins with.
const CREDENTIAL: &str = "credential:";

pub(super) fn encryption(store: &mut Section<'_, '_>) -> Encryption {
    let mut s = store.section("encryption");
    let file = s.at(There::File);
    let source = |value: &DeValue<'_>| match text(value)?.strip_prefix(CREDENTIAL) {
        Some(name) => credential(name),
        None => file(value).map(MasterSource::File),
    };
    let given = s.has("keys");
    let keys = s.or("keys", Vec::new(), list(source));
    let on = s.or("on", given, boolean);
    if on && !given {
        s.fault(
            "keys",
            "is missing: name the master key's file, e.g. [\"master.key\"]; openssl rand -hex 32 makes one",
        );
    }
    s.end();
    Encryption { on, keys }
}

/// The name of a credential: of a file in a folder that systemd makes.
fn credential(name: &str) -> Result<MasterSource, String> {
    let sound = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if name.is_empty() || name.starts_with('.') || !name.chars().all(sound) {
        return Err(format!("must be {CREDENTIAL} and a credential's name, of letters, digits, - _ and ."));
    }
    Ok(MasterSource::Credential(name.to_owned()))
}

//! Sample applications: real services in real places of Hesse, invented people. Deterministic: the
//! same number always gives the same application, but for its UUID and creation time.
//!
//! Service keys are from the LeiKa, area keys from the Regionalschlüssel of Destatis
//! (© Statistisches Bundesamt (Destatis), 2026). All persons, streets and numbers are made up.

mod bad;
mod content;

pub use bad::{Bad, MakeError, Others};

use bytes::Bytes;
use uuid::Uuid;

use super::{Application, Attachment, Content, Party, Product};
use crate::domain::{Ars, Identifier, ServiceKey, Timestamp};
use content::{Dice, Person};

/// A service of which there are samples.
#[derive(Clone, Copy, Debug)]
pub struct Service {
    /// LeiKa key.
    pub key: &'static str,
    /// Its name.
    pub name: &'static str,
    content: fn(&Person, &mut Dice) -> String,
}

/// The services of which there are samples.
pub const SERVICES: &[Service] = &[
    Service { key: "99102013104000", name: "Hundesteuer Anmeldung", content: content::dog },
    Service { key: "99059001104000", name: "Anmeldung der Eheschließung", content: content::marriage },
    Service { key: "99115005104000", name: "Wohnsitz anmelden", content: content::residence },
    Service { key: "99050012104000", name: "Gewerbe anmelden", content: content::business },
    Service { key: "99102013070000", name: "Hundesteuer Abmeldung", content: content::dog },
    Service {
        key: "99108001001000", name: "Parkausweis für Bewohner beantragen", content: content::parking
    },
    Service { key: "99027002012000", name: "Geburtsurkunde beantragen", content: content::certificate },
    Service { key: "99107023037000", name: "Wohngeld Feststellung", content: content::housing },
    Service { key: "99012070006001", name: "Baugenehmigung", content: content::building },
];

/// The model municipalities and districts of the state's programme: area key and name.
pub const PLACES: &[(&str, &str)] = &[
    ("064110000000", "Darmstadt"),
    ("064380009009", "Neu-Isenburg"),
    ("06531", "Landkreis Gießen"),
    ("066360004004", "Großalmerode"),
    ("06433", "Landkreis Groß-Gerau"),
    ("066310013013", "Hofbieber"),
    ("065340014014", "Marburg"),
    ("06534", "Landkreis Marburg-Biedenkopf"),
    ("064390015015", "Taunusstein"),
    ("064340011011", "Usingen"),
    ("064310020020", "Viernheim"),
    ("066350020020", "Volkmarsen"),
    ("066360013013", "Wanfried"),
    ("065320023023", "Wetzlar"),
    ("064140000000", "Wiesbaden"),
];

/// Every third sample has an attachment, every ninth two.
const WITH_ATTACHMENT: u64 = 3;

/// Every service of [`SERVICES`] in every place of [`PLACES`] that fits it: districts take
/// applications for housing benefit and building permits, municipalities the others. Whether
/// somebody is competent there, the directory must say.
#[must_use]
pub fn pairs() -> Vec<(ServiceKey, Ars)> {
    let mut pairs = Vec::new();
    for service in SERVICES {
        let of_district = matches!(service.key, "99107023037000" | "99012070006001");
        for (area, _) in PLACES {
            if (area.len() == 5) == of_district
                && let (Ok(service), Ok(area)) = (service.key.parse(), area.parse())
            {
                pairs.push((service, area));
            }
        }
    }
    pairs
}

/// `count` sample applications, signed off by `author`, that go round the given services and areas.
/// None when there are no pairs.
#[must_use]
pub fn applications(
    count: usize,
    author: &Party,
    pairs: &[(ServiceKey, Ars)],
    created: Timestamp,
) -> Vec<Application> {
    // A step that is coprime to most lengths mixes services and places.
    let pick = |number: usize| pairs.get(number.wrapping_mul(7) % pairs.len().max(1));
    (0..count)
        .filter_map(|number| {
            let (service, area) = pick(number)?;
            let seed = u64::try_from(number).unwrap_or(0);
            Some(application(seed, author, service, area, created))
        })
        .collect()
}

/// One sample application.
#[must_use]
pub fn application(
    seed: u64,
    author: &Party,
    service: &ServiceKey,
    area: &Ars,
    created: Timestamp,
) -> Application {
    let mut dice = Dice::new(seed);
    let person = Person::invent(&mut dice, place(area));
    let known = SERVICES.iter().find(|known| known.key == service.as_str());
    let element = match known {
        Some(known) => (known.content)(&person, &mut dice),
        None => content::plain(&person, &mut dice),
    };
    let attachments = if seed.is_multiple_of(WITH_ATTACHMENT) {
        let more = seed.is_multiple_of(WITH_ATTACHMENT * WITH_ATTACHMENT);
        (0..=u64::from(more)).map(|number| attachment(number, &mut dice)).collect()
    } else {
        Vec::new()
    };
    Application {
        uuid: Uuid::new_v4(),
        created,
        author: author.clone(),
        reader: None,
        service: Some((service.clone(), area.clone())),
        date: None,
        product: Product {
            name: "Musterportal".to_owned(),
            vendor: "Beispiel & Söhne".to_owned(),
            version: "2026.1".to_owned(),
        },
        test: true,
        content: Content::Element(element),
        attachments,
    }
}

/// An author for samples: a state portal.
///
/// # Errors
/// When `identifier` is none.
pub fn portal(identifier: &str) -> Result<Party, crate::domain::identifier::Malformed> {
    let identifier: Identifier = identifier.parse()?;
    Ok(Party { identifier, name: "Verwaltungsportal Hessen (Muster)".to_owned() })
}

/// The name of an area, as far as it is one of [`PLACES`].
fn place(area: &Ars) -> &str {
    let found = PLACES.iter().find(|(key, _)| *key == area.as_str());
    found.map_or("Musterstadt", |(_, name)| name.trim_start_matches("Landkreis "))
}

/// A small text file, or octets that no text decoder takes.
fn attachment(number: u64, dice: &mut Dice) -> Attachment {
    if number == 0 {
        let text = format!(
            "Nachweis (Muster) Nr. {}\nDieses Blatt enthält keine echten Angaben.\n",
            dice.below(100_000)
        );
        let octets = Bytes::from(text.repeat(4));
        return Attachment { name: "Nachweis.txt".to_owned(), media_type: "text/plain".to_owned(), octets };
    }
    let octets: Vec<u8> = (0..2_048).map(|_| u8::try_from(dice.below(256)).unwrap_or(0)).collect();
    let media_type = "application/octet-stream".to_owned();
    Attachment { name: "Anhang Größe 2.bin".to_owned(), media_type, octets: Bytes::from(octets) }
}

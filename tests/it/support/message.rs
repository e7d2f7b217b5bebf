//! Applications for tests.

use amtsweg::domain::Digest;
use amtsweg::verify::sign::{Canonicalisation, Hash, Profile, Signer};

/// The namespace of the application message.
pub const ANTRAG: &str = "urn:xoev-de:amtsweg:standard:antrag_1.0";

/// An application that is not signed yet. The default is good: dog tax in Marburg, whose
/// authority has a mailbox.
#[derive(Clone)]
pub struct Draft {
    pub author: String,
    pub uuid: uuid::Uuid,
    pub reader: Option<String>,
    pub service: String,
    pub area: String,
    pub directory_code: String,
    pub content: String,
    /// Name, size, digest.
    pub attachments: Vec<(String, u64, Digest)>,
}

impl Default for Draft {
    fn default() -> Self {
        Self {
            author: "psw:portal".to_owned(),
            uuid: uuid::Uuid::new_v4(),
            reader: None,
            service: "99102013104000".to_owned(),
            area: "065340014014".to_owned(),
            directory_code: "dvdv".to_owned(),
            content: "Anmeldung eines Hundes".to_owned(),
            attachments: Vec::new(),
        }
    }
}

impl Draft {
    pub fn attach(mut self, name: &str, content: &[u8]) -> Self {
        self.attachments.push((name.to_owned(), content.len() as u64, Digest::of(content)));
        self
    }

    pub fn xml(&self) -> String {
        let party = |element: &str, id: &str| {
            format!(
                "<{element}><verzeichnisdienst listURI=\"urn:xoev-de:amtsweg:codeliste:verzeichnisdienst\" \
                 listVersionID=\"1\"><code>{}</code></verzeichnisdienst><kennung>{id}</kennung>\
                 <name>Stelle</name></{element}>",
                self.directory_code
            )
        };
        let reader = self.reader.as_ref().map_or_else(String::new, |id| party("leser", id));
        let attachments: String = self
            .attachments
            .iter()
            .map(|(name, size, sha256)| {
                format!(
                    "<a:anlage><a:dateiname>{name}</a:dateiname><a:medientyp>application/pdf</a:medientyp>\
                     <a:groesse>{size}</a:groesse><a:sha256>{sha256}</a:sha256></a:anlage>"
                )
            })
            .collect();
        format!(
            "<a:antrag.einreichen.0100 xmlns:a=\"{ANTRAG}\" standard=\"Antrag\" version=\"1.0\" \
             produkt=\"Probe\" produkthersteller=\"Probe\" produktversion=\"1\">\
             <nachrichtenkopf.g2g><identifikation.nachricht><nachrichtenUUID>{}</nachrichtenUUID>\
             <nachrichtentyp listURI=\"urn:xoev-de:amtsweg:codeliste:nachrichtentyp\" listVersionID=\"1\">\
             <code>0100</code></nachrichtentyp>\
             <erstellungszeitpunkt>2026-05-04T10:00:00Z</erstellungszeitpunkt></identifikation.nachricht>\
             {reader}{}</nachrichtenkopf.g2g><a:leistung>{}</a:leistung><a:gebiet>{}</a:gebiet>\
             <a:fachdaten><f:antrag xmlns:f=\"urn:example:fach\">{}</f:antrag></a:fachdaten>{attachments}\
             </a:antrag.einreichen.0100>",
            self.uuid,
            party("autor", &self.author),
            self.service,
            self.area,
            self.content,
        )
    }

    pub fn signed(&self, signer: &Signer) -> Vec<u8> {
        sign(self.xml().as_bytes(), signer)
    }
}

pub fn sign(document: &[u8], signer: &Signer) -> Vec<u8> {
    let profile = Profile { canonicalisation: Canonicalisation::Exclusive, hash: Hash::Sha256, pss: false };
    signer.sign(document, profile).unwrap()
}

//! An application as the sample portal writes it: `antrag.einreichen.0100`, not signed yet.

use std::fmt::Write;

use crate::domain::{Ars, DeclaredAttachment, ServiceKey, Timestamp};

/// What stands in it. Applicant and content are made up.
#[derive(Clone, Debug)]
pub struct Application {
    /// Its UUID.
    pub uuid: uuid::Uuid,
    /// Who writes: `prefix:key`.
    pub author: String,
    /// For whom it is, if the author says so.
    pub reader: Option<String>,
    /// The service applied for.
    pub service: ServiceKey,
    /// The place.
    pub area: Ars,
    /// Its attachments.
    pub attachments: Vec<DeclaredAttachment>,
}

impl Application {
    /// An application with a new UUID.
    #[must_use]
    pub fn new(author: &str, service: &ServiceKey, area: &Ars) -> Self {
        Self {
            uuid: uuid::Uuid::now_v7(),
            author: author.to_owned(),
            reader: None,
            service: service.clone(),
            area: area.clone(),
            attachments: Vec::new(),
        }
    }

    /// The document.
    #[must_use]
    pub fn xml(&self) -> String {
        let (uuid, now, service, area) = (self.uuid, Timestamp::now(), &self.service, &self.area);
        let reader = self.reader.as_ref().map(|r| body("leser", r, "Behörde (Muster)")).unwrap_or_default();
        let author = body("autor", &self.author, "Antragsportal (Muster)");
        let attachments = self.attachments.iter().fold(String::new(), |mut text, a| {
            // Writing to a String cannot fail.
            let _ = write!(
                text,
                "\n  <antrag:anlage><antrag:dateiname>{}</antrag:dateiname><antrag:medientyp>{}</antrag:medientyp>\
                 <antrag:groesse>{}</antrag:groesse><antrag:sha256>{}</antrag:sha256></antrag:anlage>",
                a.name, a.media_type, a.size, a.sha256
            );
            text
        });
        format!(
            r#"<?xml version="1.0" encoding="UTF-8"?>
<antrag:antrag.einreichen.0100 xmlns:antrag="urn:xoev-de:amtsweg:standard:antrag_1.0" standard="Antrag" version="1.0" produkt="Beispielportal" produkthersteller="Amtsweg" produktversion="1.0" test="true">
  <nachrichtenkopf.g2g>
    <identifikation.nachricht>
      <nachrichtenUUID>{uuid}</nachrichtenUUID>
      <nachrichtentyp listURI="urn:xoev-de:amtsweg:codeliste:nachrichtentyp" listVersionID="1"><code>0100</code></nachrichtentyp>
      <erstellungszeitpunkt>{now}</erstellungszeitpunkt>
    </identifikation.nachricht>{reader}{author}
  </nachrichtenkopf.g2g>
  <antrag:leistung>{service}</antrag:leistung>
  <antrag:gebiet>{area}</antrag:gebiet>
  <antrag:fachdaten>
    <formular xmlns="urn:beispiel:formular:1.0"><antragsteller>Erika Mustermann</antragsteller><anliegen>{service}</anliegen></formular>
  </antrag:fachdaten>{attachments}
</antrag:antrag.einreichen.0100>
"#
        )
    }
}

fn body(element: &str, identifier: &str, name: &str) -> String {
    format!(
        r#"
    <{element}>
      <verzeichnisdienst listURI="urn:xoev-de:amtsweg:codeliste:verzeichnisdienst" listVersionID="1"><code>dvdv</code></verzeichnisdienst>
      <kennung>{identifier}</kennung>
      <name>{name}</name>
    </{element}>"#
    )
}

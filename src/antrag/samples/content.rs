//! Invented people and what they apply for, in small namespaces of the samples' own.

/// Repeatable dice (splitmix64).
pub(super) struct Dice(u64);

impl Dice {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(0x5851_f42d_4c95_7f2d))
    }

    /// A number below `bound`; 0 when that is 0.
    pub(super) fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)).checked_rem(bound).unwrap_or(0)
    }

    fn one_of(&mut self, all: &[&'static str]) -> &'static str {
        let index = usize::try_from(self.below(u64::try_from(all.len()).unwrap_or(1))).unwrap_or(0);
        all.get(index).copied().unwrap_or_default()
    }

    fn date(&mut self, from: u64, years: u64) -> String {
        let (year, month, day) = (from + self.below(years), 1 + self.below(12), 1 + self.below(28));
        format!("{year:04}-{month:02}-{day:02}")
    }
}

/// Somebody who does not exist.
pub(super) struct Person {
    given: &'static str,
    family: &'static str,
    born: String,
    street: &'static str,
    number: u64,
    postcode: String,
    town: String,
}

const GIVEN: &[&str] = &[
    "Jörg",
    "Käthe",
    "Özlem",
    "Zoë",
    "Małgorzata",
    "François",
    "Søren",
    "Ana-María",
    "Günther",
    "Noémie",
    "Łukasz",
    "Ağa",
    "Björn",
    "Wiebke",
    "Şirin",
    "Ümit",
    "Hannelore",
    "Dmitar",
    "Ælfric",
    "Mária",
];
const FAMILY: &[&str] = &[
    "Musterfrau",
    "Mustermann",
    "Beispielmüller",
    "von Probe",
    "Testgroß",
    "Muster-Öztürk",
    "Exempelski",
    "D’Exemple",
    "Probstædt",
    "Beispiel-Łęcki",
    "Testová",
    "Musterić",
];
const STREETS: &[&str] =
    &["Musterstraße", "Beispielgäßchen", "Am Probebächlein", "Testallee", "Zur schönen Übung", "An der Höhe"];

impl Person {
    pub(super) fn invent(dice: &mut Dice, town: &str) -> Self {
        Self {
            given: dice.one_of(GIVEN),
            family: dice.one_of(FAMILY),
            born: dice.date(1950, 55),
            street: dice.one_of(STREETS),
            number: 1 + dice.below(180),
            postcode: format!("{}", 34_000 + dice.below(32_000)),
            town: town.to_owned(),
        }
    }

    /// As an element `name` of the present default namespace.
    fn element(&self, name: &str, dice: &mut Dice) -> String {
        let Self { given, family, born, street, number, postcode, town } = self;
        let phone = 1_000_000 + dice.below(8_999_999);
        format!(
            "      <{name}>
        <vorname>{given}</vorname>
        <familienname>{family}</familienname>
        <geburtsdatum>{born}</geburtsdatum>
        <anschrift>
          <strasse>{street}</strasse>
          <hausnummer>{number}</hausnummer>
          <postleitzahl>{postcode}</postleitzahl>
          <ort>{town}</ort>
        </anschrift>
        <telefon>+49 0000 {phone}</telefon>
        <email>muster{phone}@example.org</email>
      </{name}>
"
        )
    }
}

/// The frame of all samples.
fn frame(kind: &str, inside: &str, dice: &mut Dice) -> String {
    let remark = remark(dice);
    format!(
        "<{kind} xmlns=\"urn:amtsweg:muster:{kind}\">
      <hinweis>Musterdaten. Alle Personen und Angaben sind erfunden.</hinweis>
{inside}      <bemerkung>{remark}</bemerkung>
      <erklaerung>Ich versichere, dass meine Angaben vollständig und richtig sind. Mir ist bekannt, dass unrichtige oder \
         unvollständige Angaben als Ordnungswidrigkeit geahndet werden können und dass ich Änderungen unverzüglich \
         mitzuteilen habe. (Mustertext)</erklaerung>
    </{kind}>"
    )
}

/// A few sentences, so that sizes differ.
fn remark(dice: &mut Dice) -> String {
    const SENTENCES: &[&str] = &[
        "Bitte rufen Sie mich vor einer Entscheidung an, am besten vormittags.",
        "Die Unterlagen reiche ich auf Wunsch gern im Original nach.",
        "Für Rückfragen erreichen Sie mich auch über das Servicekonto des Portals.",
        "Der frühere Antrag wurde bereits zurückgenommen &amp; ist erledigt.",
        "Ich bitte um eine kurze Bestätigung, sobald der Antrag bei der zuständigen Stelle vorliegt.",
        "Die Gebühr von 27,50 € habe ich noch nicht überwiesen.",
        "Gegenüber dem Vorjahr hat sich nur die Anschrift geändert (früher: Straße „A“ bzw. Hof &lt;B&gt;).",
    ];
    (0..=dice.below(14)).map(|_| dice.one_of(SENTENCES)).collect::<Vec<_>>().join(" ")
}

pub(super) fn dog(person: &Person, dice: &mut Dice) -> String {
    let owner = person.element("halter", dice);
    let name = dice.one_of(&["Bello", "Möhre", "Fräulein Smilla", "Rößle", "Çapo"]);
    let breed = dice.one_of(&["Dackel", "Mischling", "Großer Münsterländer", "Berner Sennenhund"]);
    let (since, chip) = (dice.date(2024, 2), dice.below(1_000_000_000));
    let dogs = 1 + dice.below(3);
    let inside = format!(
        "{owner}      <hund>
        <name>{name}</name>
        <rasse>{breed}</rasse>
        <chipnummer>276{chip:012}</chipnummer>
        <gehaltenSeit>{since}</gehaltenSeit>
        <herkunft>Tierheim</herkunft>
      </hund>
      <hundeImHaushalt>{dogs}</hundeImHaushalt>
"
    );
    frame("hundesteuer", &inside, dice)
}

pub(super) fn marriage(person: &Person, dice: &mut Dice) -> String {
    let first = person.element("eheschliessender", dice);
    let second = Person::invent(dice, &person.town).element("eheschliessender", dice);
    let (day, name) = (dice.date(2027, 1), dice.one_of(&["keiner", "Name der ersten Person", "Doppelname"]));
    let inside = format!(
        "{first}{second}      <wunschtag>{day}</wunschtag>
      <ehename>{name}</ehename>
      <ort>Trauzimmer</ort>
"
    );
    frame("eheschliessung", &inside, dice)
}

pub(super) fn residence(person: &Person, dice: &mut Dice) -> String {
    let mover = person.element("person", dice);
    let landlord = Person::invent(dice, &person.town).element("wohnungsgeber", dice);
    let (moved, floor) = (dice.date(2026, 1), dice.below(5));
    let inside = format!(
        "{mover}{landlord}      <einzug>{moved}</einzug>
      <stockwerk>{floor}</stockwerk>
      <wohnungsart>alleinige Wohnung</wohnungsart>
"
    );
    frame("wohnsitz", &inside, dice)
}

pub(super) fn business(person: &Person, dice: &mut Dice) -> String {
    let owner = person.element("inhaber", dice);
    let trade = dice.one_of(&[
        "Änderungsschneiderei",
        "Softwareentwicklung",
        "Café &amp; Rösterei",
        "Fahrradwerkstatt",
    ]);
    let (start, staff) = (dice.date(2026, 1), dice.below(12));
    let inside = format!(
        "{owner}      <betrieb>
        <bezeichnung>{trade} {}</bezeichnung>
        <taetigkeit>{trade}</taetigkeit>
        <beginn>{start}</beginn>
        <beschaeftigte>{staff}</beschaeftigte>
        <nebenerwerb>false</nebenerwerb>
      </betrieb>
",
        person.family
    );
    frame("gewerbe", &inside, dice)
}

pub(super) fn parking(person: &Person, dice: &mut Dice) -> String {
    let resident = person.element("bewohner", dice);
    let (zone, plate) = (1 + dice.below(9), 100 + dice.below(899));
    let inside = format!(
        "{resident}      <fahrzeug>
        <kennzeichen>XX-ÄÖ {plate}</kennzeichen>
        <halter>Antragsteller</halter>
      </fahrzeug>
      <zone>{zone}</zone>
"
    );
    frame("bewohnerparken", &inside, dice)
}

pub(super) fn certificate(person: &Person, dice: &mut Dice) -> String {
    let subject = person.element("person", dice);
    let (copies, register) = (1 + dice.below(4), 1 + dice.below(2_000));
    let inside = format!(
        "{subject}      <urkunde>
        <art>Geburtsurkunde</art>
        <registernummer>G {register}</registernummer>
        <anzahl>{copies}</anzahl>
        <mehrsprachig>true</mehrsprachig>
      </urkunde>
"
    );
    frame("urkunde", &inside, dice)
}

pub(super) fn housing(person: &Person, dice: &mut Dice) -> String {
    let mut inside = person.element("antragsteller", dice);
    for _ in 0..=dice.below(3) {
        inside.push_str(&Person::invent(dice, &person.town).element("haushaltsmitglied", dice));
    }
    let (rent, income, size) = (350 + dice.below(900), 900 + dice.below(2_100), 35 + dice.below(90));
    inside.push_str(&format!(
        "      <miete waehrung=\"EUR\">{rent}.00</miete>
      <einkommen waehrung=\"EUR\">{income}.00</einkommen>
      <wohnflaeche einheit=\"m²\">{size}</wohnflaeche>
"
    ));
    frame("wohngeld", &inside, dice)
}

pub(super) fn building(person: &Person, dice: &mut Dice) -> String {
    let owner = person.element("bauherr", dice);
    let architect = Person::invent(dice, &person.town).element("entwurfsverfasser", dice);
    let (field, parcel, floors) = (1 + dice.below(30), 1 + dice.below(900), 1 + dice.below(4));
    let inside = format!(
        "{owner}{architect}      <grundstueck>
        <flur>{field}</flur>
        <flurstueck>{parcel}/2</flurstueck>
      </grundstueck>
      <vorhaben>Neubau eines Wohnhauses mit Garage</vorhaben>
      <geschosse>{floors}</geschosse>
"
    );
    frame("baugenehmigung", &inside, dice)
}

pub(super) fn plain(person: &Person, dice: &mut Dice) -> String {
    let applicant = person.element("antragsteller", dice);
    frame("antrag", &applicant, dice)
}

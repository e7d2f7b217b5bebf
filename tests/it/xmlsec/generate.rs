//! Documents, signature templates and mutations, each determined by its seed.

/// SplitMix64: small, and the same everywhere.
pub struct Random(pub u64);

impl Random {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    pub fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound as u64) as usize
    }

    pub fn one_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }

    pub fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())]
    }
}

/// A generated document in parts, so that a signature can be put anywhere among the children.
pub struct Document {
    pub prolog: String,
    pub start: String,
    pub children: Vec<String>,
    pub end: String,
    pub epilog: String,
    /// The root's id, when it has one.
    pub id: Option<String>,
}

impl Document {
    /// The whole, with `signature` before the child of this number.
    pub fn with(&self, signature: &str, at: usize) -> String {
        let (before, after) = self.children.split_at(at.min(self.children.len()));
        let parts = [
            &self.prolog,
            &self.start,
            &before.concat(),
            signature,
            &after.concat(),
            &self.end,
            &self.epilog,
        ];
        parts.map(ToString::to_string).concat()
    }
}

const URIS: [&str; 5] =
    ["urn:de:a", "urn:de:b", "http://example.org/c?x=1", "http://example.org/%C3%A4", "urn:de:a"];
const NAMES: [&str; 6] = ["antrag", "b", "gebiet.x", "_c-1", "größe", "a"];
pub const ROOTS: [&str; 3] = ["root", "antrag.einreichen.0100", "Wurzel"];
const TEXTS: [&str; 14] = [
    "text",
    " ",
    "\n  ",
    "\r\n",
    "\r",
    "\t",
    "&amp;",
    "&lt;x&gt;",
    "ä€😀",
    "&#13;",
    "&#x20AC;&#65;",
    "]]&gt;",
    "a > b",
    "&quot;'&apos;",
];
const VALUES: [&str; 12] = [
    "v",
    "",
    " x ",
    "&lt;&amp;",
    "&#9;&#10;&#13;",
    "a\tb",
    "a\r\nb\nc",
    ">",
    "&quot;&apos;",
    "ä😀",
    "&#x20AC;",
    "1  2",
];

/// Prefixes in scope with their namespaces.
type Scope = Vec<(String, &'static str)>;

fn find(scope: &Scope, prefix: &str) -> Option<&'static str> {
    scope.iter().rev().find(|(p, _)| p == prefix).map(|(_, uri)| *uri)
}

pub fn document(random: &mut Random) -> Document {
    let mut prolog = String::new();
    if random.one_in(2) {
        prolog += random.pick(&[
            "<?xml version=\"1.0\"?>",
            "<?xml version='1.0' encoding='UTF-8' standalone='yes'?>\r\n",
        ]);
    }
    misc(random, &mut prolog);
    let mut scope: Scope = Vec::new();
    let mut id = None;
    let mut extra = String::new();
    if random.one_in(2) {
        let value = format!("r{}", random.below(1000));
        extra = format!(" {}=\"{value}\"", random.pick(&["Id", "ID", "id", "xml:id"]));
        id = Some(value);
    }
    for inherited in [" xml:lang='de'", " xml:space='preserve'", " xml:base='http://example.org/x/'"] {
        if random.one_in(4) {
            extra += inherited;
        }
    }
    let name = random.pick(&ROOTS);
    let (start, end) = tags(random, &mut scope, name, &extra);
    let children = (0..random.below(6)).map(|_| content(random, &scope, 3)).collect();
    let mut epilog = String::new();
    misc(random, &mut epilog);
    Document { prolog, start, children, end, epilog, id }
}

fn misc(random: &mut Random, out: &mut String) {
    for _ in 0..random.below(3) {
        *out += random.pick(&["<!-- Kommentar\r\n-->", "\n", "\r\n  ", "<?pi?>", "<?pi  data \r\n x?>"]);
    }
}

/// Start and end tag of an element with random declarations and attributes.
fn tags(random: &mut Random, scope: &mut Scope, name: &str, extra: &str) -> (String, String) {
    let mut written = Vec::new();
    for prefix in ["p", "q", "", "ds"] {
        if random.one_in(4) {
            let uri = if prefix.is_empty() && random.one_in(2) { "" } else { random.pick(&URIS) };
            scope.push((prefix.to_owned(), uri));
            let colon = if prefix.is_empty() { "" } else { ":" };
            written.push(format!("xmlns{colon}{prefix}=\"{uri}\""));
        }
    }
    let known: Vec<String> =
        ["p", "q", "ds"].iter().filter(|p| find(scope, p).is_some()).map(|p| format!("{p}:")).collect();
    for local in ["z", "b", "a", "m", "ä"] {
        if random.one_in(4) {
            let prefix =
                if known.is_empty() || random.one_in(2) { "" } else { &known[random.below(known.len())] };
            let value: String = (0..random.below(3)).map(|_| random.pick(&VALUES)).collect();
            let quote = random.pick(&["\"", "'"]);
            let equals = random.pick(&["=", " = "]);
            written.push(format!("{prefix}{local}{equals}{quote}{value}{quote}"));
        }
    }
    for i in (1..written.len()).rev() {
        written.swap(i, random.below(i + 1));
    }
    let prefix = if known.is_empty() || random.one_in(2) { "" } else { &known[random.below(known.len())] };
    let space = random.pick(&[" ", "\n   ", "  "]);
    let attributes: String = written.iter().map(|a| format!("{space}{a}")).collect();
    let close = random.pick(&["", " "]);
    (format!("<{prefix}{name}{attributes}{extra}{close}>"), format!("</{prefix}{name}{close}>"))
}

fn content(random: &mut Random, scope: &Scope, depth: usize) -> String {
    match random.below(8) {
        0 | 1 => random.pick(&TEXTS).to_owned(),
        2 => random.pick(&["<![CDATA[<a>&amp;\r\n]]>", "<![CDATA[]]>", "<![CDATA[ ]] > ]]>"]).to_owned(),
        3 => random.pick(&["<!---->", "<!-- c\r\n-->", "<?t?>", "<?t a<b?>"]).to_owned(),
        _ if depth == 0 => "<leer xmlns=''/>".to_owned(),
        _ => {
            let mut inner = scope.clone();
            let name = random.pick(&NAMES);
            let (start, end) = tags(random, &mut inner, name, "");
            let children: String = (0..random.below(4)).map(|_| content(random, &inner, depth - 1)).collect();
            if children.is_empty() && random.one_in(2) {
                return format!("{}/>", start.trim_end_matches('>'));
            }
            format!("{start}{children}{end}")
        }
    }
}

/// The algorithms of a template.
pub struct Algorithms<'a> {
    pub method: &'a str,
    pub transform: &'a str,
    pub signing: &'a str,
    pub digest: &'a str,
    pub uri: &'a str,
}

/// A signature to be filled in by xmlsec1.
pub fn template(random: &mut Random, algorithms: &Algorithms<'_>) -> String {
    let (p, declaration) = match random.below(3) {
        0 => ("", "xmlns"),
        1 => ("ds:", "xmlns:ds"),
        _ => ("dsig:", "xmlns:dsig"),
    };
    let Algorithms { method, transform, signing, digest, uri } = algorithms;
    let gap = random.pick(&["", "\n  ", "<!-- c -->", "<?pi x?>"]);
    let inclusive = |random: &mut Random, uri: &str| match uri {
        _ if uri.contains("exc-c14n") && random.one_in(2) => {
            let list = random.pick(&["p", "p q #default", "#default", "nobody q", ""]);
            format!(
                "<InclusiveNamespaces xmlns='http://www.w3.org/2001/10/xml-exc-c14n#' PrefixList='{list}'/>"
            )
        }
        _ => String::new(),
    };
    let (first, second) = (inclusive(random, method), inclusive(random, transform));
    format!(
        "<{p}Signature {declaration}=\"http://www.w3.org/2000/09/xmldsig#\">{gap}<{p}SignedInfo>{gap}\
         <{p}CanonicalizationMethod Algorithm=\"{method}\">{first}</{p}CanonicalizationMethod>\
         <{p}SignatureMethod Algorithm=\"{signing}\"/>{gap}<{p}Reference URI=\"{uri}\">{gap}<{p}Transforms>\
         <{p}Transform Algorithm=\"http://www.w3.org/2000/09/xmldsig#enveloped-signature\"/>\
         <{p}Transform Algorithm=\"{transform}\">{second}</{p}Transform></{p}Transforms>{gap}\
         <{p}DigestMethod Algorithm=\"{digest}\"/><{p}DigestValue/></{p}Reference></{p}SignedInfo>{gap}\
         <{p}SignatureValue/><{p}KeyInfo><{p}X509Data><{p}X509Certificate/></{p}X509Data></{p}KeyInfo></{p}Signature>"
    )
}

/// One octet changed, dropped or doubled.
pub fn mutated(random: &mut Random, document: &[u8]) -> Vec<u8> {
    let mut out = document.to_vec();
    let at = random.below(out.len());
    match random.below(4) {
        0 => {
            out.remove(at);
        }
        1 => out.insert(at, document[at]),
        2 => out[at] = random.pick(b" \n\r<>&\"'ab1:=/-;"),
        _ => out[at] ^= 1 << random.below(7),
    }
    out
}

use super::*;
use crate::domain::{Protocol, XtaServer};

fn faults_of(text: &str) -> Vec<String> {
    let mut faults = Faults::default();
    read(text, None, &mut faults);
    faults.finish().err().unwrap_or_default()
}

#[test]
fn reads_both_kinds_with_their_defaults() {
    let text = "[[endpoint]]\nid = \"a\"\nkind = \"push\"\nurl = \"https://a.example/x\"\nca = \"ca.pem\"\n\n\
                [[endpoint]]\nid = \"b\"\nkind = \"mailbox\"\nlease = \"2h\"\nwarn_after = \"1d\"\nreturn_after = \"2d\"\n";
    let mut faults = Faults::default();
    let read = read(text, None, &mut faults);
    assert_eq!(faults.finish(), Ok(()));
    let (a, line) = &read[&"a".parse().unwrap()];
    assert_eq!((*line, a.warn_after, a.return_after), (1, 3 * DAY, 14 * DAY));
    let Transport::Push { protocol, url, ca, timeout, concurrency, backoff_min, backoff_max } = &a.transport
    else {
        panic!("no push endpoint")
    };
    assert_eq!((protocol, url.as_str()), (&Protocol::Https, "https://a.example/x"));
    assert_eq!(ca.as_deref(), Some(Path::new("ca.pem")));
    assert_eq!((*timeout, *concurrency), (30 * SECOND, 8));
    assert_eq!((*backoff_min, *backoff_max), (5 * SECOND, HOUR));
    let (b, line) = &read[&"b".parse().unwrap()];
    assert_eq!((*line, b.warn_after), (7, DAY));
    assert_eq!(b.transport, Transport::Mailbox { lease: 2 * HOUR });
}

#[test]
fn an_xta_server_has_a_base_or_two_urls() {
    let read = |more: &str| {
        let mut faults = Faults::default();
        let text = format!("[[endpoint]]\nid = \"a\"\nkind = \"push\"\nprotocol = \"xta\"\n{more}\n");
        let read = read(&text, None, &mut faults);
        assert_eq!(faults.finish(), Ok(()), "{more}");
        let Transport::Push { protocol: Protocol::Xta(server), url, .. } =
            &read[&"a".parse().unwrap()].0.transport
        else {
            panic!("no XTA endpoint")
        };
        (url.clone(), server.as_ref().clone())
    };
    let (url, server) = read("url = \"https://a.example:8443/x/\"\nauthor = \"gw:a\"");
    assert_eq!(url, "https://a.example:8443/x/services/XTAService/SendXtaPort");
    assert_eq!(
        server,
        XtaServer {
            management: "https://a.example:8443/x/services/XTAService/ManagementPort".to_owned(),
            author: Some("gw:a".parse().unwrap()),
            reader: None
        }
    );
    let own =
        "send_url = \"https://a.example/s\"\nmanagement_url = \"https://a.example/m\"\nreader = \"kop:1\"";
    let (url, server) = read(own);
    assert_eq!((url.as_str(), server.management.as_str()), ("https://a.example/s", "https://a.example/m"));
    assert_eq!(server.reader, Some("kop:1".parse().unwrap()));
}

#[test]
fn an_encryption_certificate_is_one_certificate_in_a_file_of_the_folder() {
    let folder = tempfile::tempdir().unwrap();
    let key = rcgen::KeyPair::generate().unwrap();
    let made = rcgen::CertificateParams::new(Vec::new()).unwrap().self_signed(&key).unwrap();
    std::fs::write(folder.path().join("one.pem"), made.pem()).unwrap();
    std::fs::write(folder.path().join("two.pem"), format!("{0}{0}", made.pem())).unwrap();
    std::fs::write(folder.path().join("none.pem"), "").unwrap();
    let read = |file: &str| {
        let mut faults = Faults::default();
        let text = format!("[[endpoint]]\nid = \"a\"\nkind = \"mailbox\"\nencryption = \"{file}\"\n");
        let read = super::read(&text, Some(folder.path()), &mut faults);
        faults.finish().map(|()| read[&"a".parse().unwrap()].0.encryption.clone())
    };
    assert_eq!(read("one.pem").unwrap().as_deref(), Some(made.der().as_ref()));
    for (file, expected) in [
        ("two.pem", "several certificates"),
        ("none.pem", "no PEM certificate"),
        ("nowhere.pem", "the encryption file \"nowhere.pem\" is not there"),
        ("", "encryption is empty"),
    ] {
        let faults = read(file).unwrap_err();
        assert!(faults[0].starts_with("endpoints.toml:4: ") && faults[0].contains(expected), "{faults:?}");
    }
}

#[test]
fn every_fault_is_named_with_its_line() {
    let push = "[[endpoint]]\nid = \"a\"\nkind = \"push\"\n";
    let box_ = "[[endpoint]]\nid = \"a\"\nkind = \"mailbox\"\n";
    let url = "url = \"https://a.example\"\n";
    let cases: &[(String, &str)] = &[
        (format!("{push}url = \"http://a.example\"\n"), "endpoints.toml:4: url must begin with https"),
        (format!("{push}url = \"https://u:p@a.example\"\n"), "endpoints.toml:4: url is"),
        (format!("{push}url = \"https://a.example/?q\"\n"), "endpoints.toml:4: url is"),
        (
            format!("{push}url = \"https://a.example/x\"\nprotocol = \"grpc\"\n"),
            "endpoints.toml:4: the url of a gRPC",
        ),
        (format!("{push}url = \"not a url\"\n"), "endpoints.toml:4: url is no URL"),
        (push.to_owned(), "endpoints.toml:1: url is missing"),
        (format!("{push}{url}lease = \"1m\"\n"), "endpoints.toml:5: unknown key \"lease\""),
        (format!("{push}{url}protocol = \"ftp\"\n"), "endpoints.toml:5: protocol is"),
        (format!("{push}{url}author = \"gw:a\"\n"), "endpoints.toml:5: author is for protocol = \"xta\""),
        (format!("{push}protocol = \"xta\"\n"), "endpoints.toml:1: an XTA server has url"),
        (
            format!("{push}{url}protocol = \"xta\"\nsend_url = \"https://a.example\"\n"),
            "endpoints.toml:1: an XTA server has url",
        ),
        (
            format!("{push}protocol = \"xta\"\nsend_url = \"http://a\"\nmanagement_url = \"https://a\"\n"),
            "endpoints.toml:5: send_url must begin with https",
        ),
        (format!("{push}{url}protocol = \"xta\"\nreader = \"x\"\n"), "endpoints.toml:6: \"x\" is no"),
        (format!("{push}{url}concurrency = 0\n"), "endpoints.toml:5: concurrency is a number"),
        (format!("{push}{url}timeout = 30\n"), "endpoints.toml:5: timeout is a span"),
        (format!("{push}{url}timeout = \"30 days\"\n"), "endpoints.toml:5: timeout is a span"),
        (format!("{push}{url}timeout = \"2h\"\n"), "endpoints.toml:5: timeout must be from"),
        (format!("{push}{url}backoff_max = \"1s\"\n"), "endpoints.toml:5: backoff_max must not"),
        (
            format!("{push}{url}backoff_min = \"18446744073709551615d\"\n"),
            "endpoints.toml:5: backoff_min is a span",
        ),
        (format!("{push}{url}ca = \"\"\n"), "endpoints.toml:5: ca is empty"),
        (format!("{push}{url}ca = 1\n"), "ca is a text"),
        (format!("{box_}warn_after = \"20d\"\n"), "endpoints.toml:1: return_after must be longer"),
        (format!("{box_}url = \"https://a.example\"\n"), "endpoints.toml:4: unknown key \"url\""),
        (format!("{box_}\n{box_}"), "endpoints.toml:5: endpoint a stands in line 1 too"),
        ("[[endpoint]]\nkind = \"mailbox\"\n".to_owned(), "endpoints.toml:1: id is missing"),
        (
            "[[endpoint]]\nid = \"A B\"\nkind = \"mailbox\"\n".to_owned(),
            "endpoints.toml:2: \"A B\" is no endpoint id",
        ),
        ("[[endpoint]]\nid = \"a\"\n".to_owned(), "endpoints.toml:1: kind is missing"),
        ("[[endpoint]]\nid = \"a\"\nkind = \"fax\"\n".to_owned(), "endpoints.toml:3: kind is"),
        ("[endpoint]\nid = \"a\"\n".to_owned(), "endpoints.toml:1: unknown key \"endpoint\""),
        ("[[endpoints]]\n".to_owned(), "endpoints.toml:1: unknown key \"endpoints\""),
        ("endpoint = [1]\n".to_owned(), "endpoints.toml:1: an endpoint is a table"),
        ("[[endpoint]]\nid = \n".to_owned(), "endpoints.toml:2: no TOML"),
    ];
    for (text, expected) in cases {
        let found = faults_of(text);
        assert!(found.iter().any(|fault| fault.contains(expected)), "{text}\n{expected}\n{found:?}");
        assert_eq!(found.len(), 1, "{text}\n{found:?}");
    }
}

#[test]
fn all_faults_come_at_once() {
    let text = "[[endpoint]]\nid = \"a\"\nkind = \"push\"\nurl = \"http://a\"\ntimeout = \"0s\"\nx = 1\n[[endpoint]]\n";
    assert_eq!(faults_of(text).len(), 5, "{:?}", faults_of(text));
}

#[test]
fn deep_and_long_texts_end_soon() {
    assert!(!faults_of(&format!("endpoint = {}", "[".repeat(100_000))).is_empty());
    assert!(!faults_of(&format!("endpoint = {}", "{a=".repeat(100_000))).is_empty());
    let many: String =
        (0..10_000).map(|n| format!("[[endpoint]]\nid = \"e{n}\"\nkind = \"mailbox\"\n")).collect();
    assert_eq!(faults_of(&many), Vec::<String>::new());
    assert_eq!(faults_of(&format!("{many}[[endpoint]]\n")).len(), 1);
}

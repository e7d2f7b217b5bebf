use super::super::tests::{says, small};
use super::*;
use crate::domain::Transport;

#[test]
fn all_faults_of_all_files_come_at_once() {
    let faults = |change: fn(&mut Files)| {
        let mut files = small();
        change(&mut files);
        Directory::parse(&files).unwrap_err()
    };
    let many = faults(|files| {
        files.areas.push_str("6;X;;;;\n06002;;;;;\n06003;X;;2026-02-30;;\n06004;X;;2026-02-02;2026-02-01;\n");
        files.areas.push_str("06005;X;;;2025-12-31;06999\n06006;X;;;;06001\n06001;Again;;;;\n");
        files
            .areas
            .push_str("06007;X;;;2025-12-31;06008\n06008;X;;;2025-12-31;06007\n06009;X;;;2025-12-31;06009\n");
        files.services.push_str("123;X\n99102013104000;Again\n");
        files.authorities.push_str(
            "a;Again;kop:7;\nd;D;kop:1;\ne;E;;\nf;F;KOP:1;\ng;G;kop:8;nowhere\nh;H;kop:9 kop:9;e\n",
        );
        files
            .competences
            .push_str("z;99102013104000;06;;\na;99999999999999;06;;\na;99102013104000;07;;\na;99103*;06;;\n");
        files
            .competences
            .push_str("a;99102013104000;06;;2026-01-01\na;99102013104000;06;2026-01-01;\na;9910;06;;\n");
        files.competences.push_str("b;99102013104000;06;;2026-01-01\nb;99102013104000;06;2026-01-02;\n");
    });
    let expected = [
        "areas.csv:6: \"6\" is no area key",
        "areas.csv:7: name must have",
        "areas.csv:8: valid_from \"2026-02-30\" is no day",
        "areas.csv:9: valid_from is after valid_to",
        "areas.csv:10: the successor 06999 of area 06005 is not in this file",
        "areas.csv:11: area 06006 has a successor but no valid_to",
        "areas.csv:12: area 06001 stands in line 3 too",
        "areas.csv:13: the successor 06008 of area 06007 is not valid on 2026-01-01",
        "areas.csv:14: the successor 06007 of area 06008 is not valid on 2026-01-01",
        "areas.csv:15: the successor 06009 of area 06009 is not valid on 2026-01-01",
        "services.csv:5: \"123\" is no service key",
        "services.csv:6: service 99102013104000 stands twice",
        "authorities.csv:5: authority a stands in line 2 too",
        "authorities.csv:6: identifier kop:1 is claimed by a too",
        "authorities.csv:7: identifiers is empty",
        "authorities.csv:8: \"KOP:1\" is no identifier",
        "authorities.csv:9: endpoint nowhere is not in endpoints.toml",
        "authorities.csv:10: identifier kop:9 stands twice",
        "competences.csv:2: authority z is not in authorities.csv",
        "competences.csv:3: service 99999999999999 is not in services.csv",
        "competences.csv:4: area 07 is not in areas.csv",
        "competences.csv:5: service 99103* is not in services.csv",
        "competences.csv:7: a is competent for 99102013104000 in 06 in line 6 too",
        "competences.csv:8: \"9910\" is no service key",
    ];
    for text in expected {
        assert!(says(&many, text), "{text}\n{many:#?}");
    }
    assert_eq!(many.len(), expected.len(), "{many:#?}");
    let bounded = faults(|files| files.competences.push_str(&"z;1;2;3;4\n".repeat(300)));
    assert!(bounded.len() == 201 && bounded.last().unwrap().contains("more faults"), "{}", bounded.len());
    assert_eq!(
        faults(|files| files.services.clear()),
        ["services.csv: the header is missing; write \"service;name\" as first line"]
    );
}

#[test]
fn warns_about_what_can_not_work() {
    let mut files = small();
    files.areas.push_str("06002;Alt;Kreis;;2020-12-31;06001\n06003;Fort;Kreis;;2020-12-31;\n");
    files.endpoints.push_str("[[endpoint]]\nid = \"idle\"\nkind = \"mailbox\"\n");
    files.competences.push_str("a;99102013104000;06002;2021-01-01;\na;99102014104000;06;;2026-12-31\n");
    let directory = Directory::parse(&files).unwrap();
    let warnings = directory.warnings();
    for text in [
        "competences.csv:2: area 06002 is not valid on any day",
        "authorities.csv:4: c has neither",
        "endpoints.toml:4: no authority uses endpoint idle",
    ] {
        assert!(says(warnings, text), "{text}\n{warnings:#?}");
    }
    assert_eq!(warnings.len(), 3, "{warnings:#?}");
    let gaps = directory.expiring("2027-01-01".parse().unwrap());
    assert!(
        gaps.len() == 2 && says(&gaps, "areas.csv:7: area 06003") && says(&gaps, "competences.csv:3"),
        "{gaps:#?}"
    );
    assert_eq!(directory.expiring("2026-12-31".parse().unwrap()).len(), 1);
}

#[test]
fn a_folder_reads_back_as_it_was_written_and_its_faults_name_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("directory");
    Files::embedded().write_to(&path).unwrap();
    assert_eq!(Files::read(&path).unwrap(), Files::embedded());
    assert!(Directory::load(&path).is_ok());
    assert!(path.join("README.md").is_file());

    let mut files = small();
    files.endpoints =
        "[[endpoint]]\nid = \"e\"\nkind = \"push\"\nurl = \"https://a.example\"\nca = \"ca.pem\"\n"
            .to_owned();
    files.write_to(&path).unwrap();
    assert!(says(
        &Directory::load(&path).unwrap_err(),
        "endpoints.toml:5: the ca file \"ca.pem\" is not there"
    ));
    std::fs::write(path.join("ca.pem"), "x").unwrap();
    let directory = Directory::load(&path).unwrap();
    let Transport::Push { ca, .. } = &directory.endpoints().next().unwrap().transport else { panic!() };
    assert_eq!(ca.as_deref(), Some(path.join("ca.pem").as_path()));

    std::fs::write(path.join("areas.csv"), b"ars\nDarmst\xe4dt").unwrap();
    std::fs::remove_file(path.join("services.csv")).unwrap();
    let faults = Directory::load(&path).unwrap_err();
    assert!(
        says(&faults, "areas.csv: is not UTF-8 (line 2)") && says(&faults, "services.csv: can't be opened")
    );
}

#[test]
fn says_which_competences_a_retired_area_leaves_behind() {
    let mut files = small();
    files.areas.push_str("060020001001;Alt;Gemeinde;;2026-12-31;060010001001\n");
    files.competences.push_str("a;99102013104000;060020001001;;\n");
    let gaps = |files: &Files, day: &str| Directory::parse(files).unwrap().expiring(day.parse().unwrap());
    assert_eq!(gaps(&files, "2026-12-31"), Vec::<String>::new());
    let found = gaps(&files, "2027-01-01");
    assert!(found.len() == 1 && says(&found, "in its successor 060010001001; enter who is"), "{found:?}");
    files.competences.push_str("b;99102*;060010001001;2027-01-01;\n");
    assert_eq!(gaps(&files, "2027-01-01"), Vec::<String>::new());
}

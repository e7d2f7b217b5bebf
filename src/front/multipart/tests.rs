use super::*;
use proptest::prelude::*;

async fn read_all(pieces: Vec<Vec<u8>>, boundary: &str) -> Result<Vec<(Head, Vec<u8>)>, Refusal> {
    let pieces = pieces.into_iter().map(|piece| Ok::<_, std::io::Error>(Bytes::from(piece)));
    let body = Body::from_stream(futures_util::stream::iter(pieces));
    let mut parts = Multipart::new(body, boundary);
    let mut all = Vec::new();
    while let Some(head) = parts.next_part().await? {
        let mut content = Vec::new();
        while let Some(chunk) = parts.chunk().await? {
            assert!(!chunk.is_empty());
            content.extend_from_slice(&chunk);
        }
        all.push((head, content));
    }
    Ok(all)
}

fn block_on<F: Future>(future: F) -> F::Output {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
}

#[test]
fn content_types_are_understood_or_refused() {
    assert_eq!(media("application/xml; charset=utf-8"), Ok(Media::Xml));
    assert_eq!(media("Text/XML"), Ok(Media::Xml));
    let related = |text: &str| media(text).map_err(|refusal| refusal.code);
    assert_eq!(related("multipart/related; boundary=abc"), Ok(Media::Related("abc".to_owned())));
    assert_eq!(
        related("multipart/related; type=\"application/xml; x=y\"; Boundary=\"a b:c\"; start=x"),
        Ok(Media::Related("a b:c".to_owned()))
    );
    let long = format!("multipart/related; boundary={}", "x".repeat(71));
    for bad in ["multipart/related", "multipart/related; boundary=", "application/json", "", &long] {
        assert_eq!(related(bad), Err(Code::NotWellFormed), "{bad}");
    }
}

#[test]
fn parts_without_content_or_head_and_a_preamble_are_read() {
    let body = b"hello\r\n--b \r\n\r\n\r\n--b\r\nContent-Length: 3\r\n\r\nabc\r\n--b--\r\nbye";
    let parts = block_on(read_all(vec![body.to_vec()], "b")).unwrap();
    assert_eq!(
        parts,
        [(Head::default(), vec![]), (Head { length: Some(3), ..Head::default() }, b"abc".to_vec())]
    );
}

#[test]
fn truncated_or_endless_heads_are_refused() {
    let whole = b"--b\r\nContent-Length: 3\r\n\r\nabc\r\n--b--".to_vec();
    for cut in 0..whole.len() {
        let result = block_on(read_all(vec![whole.iter().copied().take(cut).collect()], "b"));
        assert_eq!(result.unwrap_err().code, Code::NotWellFormed, "cut at {cut}");
    }
    let mut endless = b"--b\r\nX: ".to_vec();
    endless.resize(100_000, b'y');
    assert_eq!(block_on(read_all(vec![endless], "b")).unwrap_err().code, Code::OverLimit);
    let no_boundary = vec![vec![b'z'; 100_000]];
    assert_eq!(block_on(read_all(no_boundary, "b")).unwrap_err().code, Code::NotWellFormed);
}

#[test]
fn bounds_do_not_depend_on_how_the_body_is_cut() {
    for long in [MAX_PREAMBLE - 1, MAX_PREAMBLE, MAX_PREAMBLE + 1, MAX_HEAD - 7, MAX_HEAD - 6, MAX_HEAD - 5] {
        let filling = "x".repeat(long);
        let preamble = format!("{}\r\n--b\r\n\r\n\r\n--b--", &filling[2..]);
        let head = format!("--b\r\nX: {filling}\r\n\r\n\r\n--b--");
        for body in [preamble, head] {
            let whole = block_on(read_all(vec![body.clone().into_bytes()], "b")).map_err(|why| why.code);
            for cut in [1, 2, 3, 4096, 4100, 8193, 8194] {
                let pieces = body.as_bytes().chunks(cut).map(<[u8]>::to_vec).collect();
                let cut = block_on(read_all(pieces, "b")).map_err(|why| why.code);
                assert_eq!(cut, whole, "{long}");
            }
        }
    }
}

proptest! {
    #[test]
    fn contents_come_out_as_they_went_in_however_they_are_cut(
        contents in prop::collection::vec(prop::collection::vec(prop_oneof![Just(b'\r'), Just(b'\n'), Just(b'-'), any::<u8>()], 0..300), 1..5),
        cut in 1usize..200,
    ) {
        let boundary = "q7Zk0";
        let mut body = Vec::new();
        for content in &contents {
            body.extend_from_slice(format!("\r\n--{boundary}\r\nContent-Type: a/b\r\n\r\n").as_bytes());
            body.extend_from_slice(content);
        }
        body.extend_from_slice(format!("\r\n--{boundary}--\r\n").as_bytes());
        let pieces = body.chunks(cut).map(<[u8]>::to_vec).collect();
        let read = block_on(read_all(pieces, boundary)).unwrap();
        let read: Vec<_> = read.into_iter().map(|(_, content)| content).collect();
        prop_assert_eq!(read, contents);
    }
}

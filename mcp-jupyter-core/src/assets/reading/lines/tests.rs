use std::sync::atomic::Ordering;

use proptest::prelude::*;

use crate::assets::MimeType;
use crate::assets::reading::splitting::{reader, reader_of};

use super::*;

fn limits(lines: u64, bytes: usize) -> LineLimits {
    LineLimits { lines, bytes }
}

fn numbered(count: u64, line: fn(u64) -> String) -> String {
    (1..=count).map(line).collect()
}

#[tokio::test]
async fn the_notice_says_what_is_left_out_and_how_to_read_on() {
    let text = numbered(100, |number| format!("line {number}\n"));
    let (reader, digest, _) = reader(text.as_bytes(), 7).await;
    for (range, lines, bytes, notice) in [
        ("1-100", 100, 10_000, None),
        (
            "1-20",
            100,
            10_000,
            Some("lines 21-100 of 100 are left out; read on with lines 21-40"),
        ),
        (
            "1-",
            10,
            10_000,
            Some("lines 11-100 of 100 are left out; read on with lines 11-20"),
        ),
        (
            "1-",
            100,
            17,
            Some("lines 3-100 of 100 are left out; read on with lines 3-4"),
        ),
        ("-5", 100, 10_000, Some("lines 1-95 of 100 are left out")),
        (
            "-20--11",
            100,
            10_000,
            Some("lines 1-80 and 91-100 of 100 are left out; read on with lines 91-100"),
        ),
        (
            "5",
            100,
            4,
            Some(
                "line 5 is cut after 4 bytes; read on with bytes 32..36; lines 1-4 and 6-100 of 100 are left out; read on with lines 6",
            ),
        ),
    ] {
        let read = reader
            .lines(&digest, range.parse().unwrap(), limits(lines, bytes))
            .await
            .unwrap();
        assert_eq!(read.notice().as_deref(), notice, "{range}");
    }
    for range in ["101", "-200--101"] {
        let error = reader
            .lines(&digest, range.parse().unwrap(), limits(1, 1))
            .await
            .unwrap_err()
            .to_string();
        assert!(error.ends_with("the asset has 100 lines"), "{error}");
    }
}

#[tokio::test]
async fn an_empty_asset_has_no_lines_and_that_is_no_error() {
    let (reader, digest, _) = reader(b"", 7).await;
    for range in ["1-", "-5", "10-20"] {
        let read = reader
            .lines(&digest, range.parse().unwrap(), limits(10, 10))
            .await
            .unwrap();
        assert_eq!((read.text.as_str(), read.last, read.notice()), ("", 0, None));
    }
}

#[tokio::test]
async fn the_last_lines_are_read_from_the_end_and_far_ones_by_the_index() {
    let text = numbered(200_000, |number| format!("this is line {number:09}\n"));
    let (mut reader, digest, read) = reader(text.as_bytes(), 4096).await;
    reader.block = 4096;
    let length = text.len() as u64;
    let last = reader
        .lines(&digest, "-2".parse().unwrap(), limits(10, 1000))
        .await
        .unwrap();
    assert_eq!(last.text, "this is line 000199999\nthis is line 000200000\n");
    assert!(read.swap(0, Ordering::Relaxed) <= 70_000);
    let line = async |number: u64| {
        let range = LineRange::between(number, number).unwrap();
        let found = reader.lines(&digest, range, limits(10, 1000)).await.unwrap();
        assert_eq!(
            (found.first, found.text),
            (number, format!("this is line {number:09}\n"))
        );
        read.swap(0, Ordering::Relaxed)
    };
    assert!(line(90_000).await > length / 3);
    for near in [90_000, 89_999, 1000, 45_678, 64, 65] {
        assert!(line(near).await <= 16_384, "{near}");
    }
}

#[tokio::test]
async fn what_has_no_lines_counted_is_counted_once_if_it_has_to_be() {
    let text = "some line\n".repeat(10_000);
    let (reader, digest, read) = reader_of(text.as_bytes(), 1000, MimeType::unknown()).await;
    let first = reader
        .lines(&digest, "3-4".parse().unwrap(), limits(10, 1000))
        .await
        .unwrap();
    assert_eq!(
        first.notice().unwrap(),
        "lines 1-2 and 5 and all that follow are left out; read on with lines 5-6"
    );
    read.store(0, Ordering::Relaxed);
    let last = reader
        .lines(&digest, "-2".parse().unwrap(), limits(10, 1000))
        .await
        .unwrap();
    assert_eq!((last.first, last.left.total), (9999, Some(10_000)));
    assert!(read.swap(0, Ordering::Relaxed) >= 100_000);
    reader
        .lines(&digest, "-2".parse().unwrap(), limits(10, 1000))
        .await
        .unwrap();
    assert!(read.swap(0, Ordering::Relaxed) < 66_000);
}

/// A text of lines that are mostly short, with all kinds of ends.
pub(crate) fn texts() -> impl Strategy<Value = Vec<u8>> {
    let line = prop_oneof![
        8 => "[ab é😀\r]{0,8}".prop_map(String::into_bytes),
        1 => "[ab]{50,120}".prop_map(String::into_bytes),
        1 => prop::collection::vec(prop_oneof![Just(b'a'), Just(0xff), Just(0xc3), Just(0x80)], 0..5),
    ];
    let end = prop_oneof![3 => Just("\n"), 1 => Just("\r\n")];
    (prop::collection::vec((line, end), 0..40), any::<bool>()).prop_map(|(lines, is_ended)| {
        let mut text: Vec<u8> = lines
            .into_iter()
            .flat_map(|(line, end)| [line, end.into()].concat())
            .collect();
        if !is_ended {
            text.pop();
        }
        text
    })
}

fn ranges() -> impl Strategy<Value = LineRange> {
    let number = 1..45_u64;
    prop_oneof![
        (number.clone(), 0..45_u64).prop_map(|(first, more)| format!("{first}-{}", first + more)),
        number.clone().prop_map(|first| format!("{first}-")),
        number.clone().prop_map(|last| format!("-{last}")),
        (number.clone(), 0..45_u64).prop_map(|(last, more)| format!("-{}--{last}", last + more)),
        (number.clone(), number).prop_map(|(first, last)| format!("{first}--{last}")),
    ]
    .prop_map(|text| text.parse().unwrap())
}

proptest! {
    #[test]
    fn lines_are_those_that_splitting_the_whole_gives(
        text in texts(),
        ranges in prop::collection::vec(ranges(), 1..4),
        (max_lines, max_bytes) in (1..20_u64, 1..150_usize),
        piece in 1..8_usize,
        is_known in any::<bool>(),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let lines: Vec<&[u8]> = text.split_inclusive(|byte| *byte == b'\n').collect();
        let total = lines.len() as u64;
        runtime.block_on(async {
            let mime = if is_known { MimeType::plain() } else { MimeType::unknown() };
            let (reader, digest, _) = reader_of(&text, piece, mime).await;
            for range in ranges {
                let read = reader.lines(&digest, range, limits(max_lines, max_bytes)).await;
                let Some((first, last)) = range.resolve(Some(total)) else {
                    prop_assert_eq!(read.is_err(), total > 0);
                    continue;
                };
                let read = read.unwrap();
                let (first_index, last_index) = (usize::try_from(first).unwrap() - 1, usize::try_from(last).unwrap());
                let mut expected = Vec::new();
                let mut count = 0;
                for line in &lines[first_index..last_index] {
                    if count == max_lines || expected.len() + line.len() > max_bytes {
                        break;
                    }
                    expected.extend_from_slice(line);
                    count += 1;
                }
                prop_assert_eq!(read.first, first);
                prop_assert_eq!(read.cut.is_some(), count == 0);
                if count == 0 {
                    let shown = read.bytes.end - read.bytes.start;
                    prop_assert!(shown > 0 && shown <= max_bytes as u64);
                    prop_assert!(shown + 3 >= max_bytes as u64);
                    continue;
                }
                prop_assert_eq!(read.last, first + count - 1);
                prop_assert_eq!(&read.text, &*String::from_utf8_lossy(&expected));
                prop_assert_eq!(read.bytes.end - read.bytes.start, expected.len() as u64);
                prop_assert_eq!(read.left.before, first - 1);
                prop_assert!(read.left.after.is_none_or(|after| after == total - read.last));
                prop_assert_eq!(read.next.is_none(), read.last == total);
            }
            Ok(())
        })?;
    }
}

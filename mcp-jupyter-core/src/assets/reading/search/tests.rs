use std::fmt::Write as _;

use proptest::prelude::*;

use crate::assets::reading::lines::tests::texts;
use crate::assets::reading::splitting::reader;
use crate::assets::{AssetStore as _, AssetStoreExt as _, MimeType, ObjectAssets};

use super::*;

fn literal(text: &str) -> Search {
    Search::new(Pattern::Literal(text.to_owned()))
}

fn regex(expression: &str) -> Search {
    Search::new(Pattern::Regex(expression.to_owned()))
}

/// The lines as grep shows them: `:` after the number of a match, `-` after that of context, `--` between passages.
fn shown(matches: &Matches) -> String {
    let line = |line: &FoundLine| {
        let mark = if line.is_match { ':' } else { '-' };
        format!("{}{mark}{}\n", line.number, line.text)
    };
    let passage = |passage: &Passage| passage.lines.iter().map(line).collect::<Vec<_>>().concat();
    let passages: Vec<String> = matches.passages.iter().map(passage).collect();
    passages.join("--\n")
}

async fn search(text: &str, search: &Search) -> Matches {
    let (reader, digest, _) = reader(text.as_bytes(), 5).await;
    reader.search(&digest, search).await.unwrap()
}

#[tokio::test]
async fn passages_are_merged_where_their_contexts_meet() {
    let text = "a\nx1\nb\nc\nx2\nd\ne\nf\ng\nx3\n";
    let mut wanted = literal("x");
    (wanted.before, wanted.after) = (1, 1);
    let found = search(text, &wanted).await;
    assert_eq!(shown(&found), "1-a\n2:x1\n3-b\n4-c\n5:x2\n6-d\n--\n9-g\n10:x3\n");
    assert_eq!((found.matches, found.notice()), (3, None));
    assert_eq!(found.passages[0].lines[4].offset, 9);
    (wanted.before, wanted.after) = (0, 0);
    assert_eq!(shown(&search(text, &wanted).await), "2:x1\n--\n5:x2\n--\n10:x3\n");
}

#[tokio::test]
async fn a_search_that_stops_says_where_to_search_on() {
    let text = "x\n".repeat(3) + "a\nb\nx\nc";
    let mut wanted = literal("x");
    wanted.max_matches = 2;
    let found = search(&text, &wanted).await;
    assert_eq!(
        found.notice().unwrap(),
        "the search stopped after 2 matches; search on from line 3; lines 3-7 of 7 are not searched"
    );
    wanted.from_line = 3;
    (wanted.after, wanted.max_matches) = (1, 3);
    let found = search(&text, &wanted).await;
    assert_eq!(shown(&found), "3:x\n4-a\n--\n6:x\n7-c\n");
    assert_eq!(found.notice().unwrap(), "lines 1-2 of 7 are not searched");
    (wanted.from_line, wanted.after, wanted.max_matches) = (1, 5, 2);
    let found = search(&text, &wanted).await;
    assert_eq!(shown(&found), "1:x\n2:x\n");
    assert_eq!(found.stopped.unwrap().next_line, 3);
    (wanted.max_matches, wanted.after, wanted.max_bytes) = (100, 0, 2);
    let found = search(&text, &wanted).await;
    let stopped = found.stopped.unwrap();
    assert_eq!((stopped.reason, stopped.next_line), (StopReason::Bytes, 3));
    wanted.from_line = 8;
    let (reader, digest, _) = reader(text.as_bytes(), 5).await;
    let error = reader.search(&digest, &wanted).await.unwrap_err().to_string();
    assert!(error.ends_with("the asset has 7 lines"), "{error}");
}

#[tokio::test]
async fn a_long_line_is_cut_around_the_match_and_searched_in_parts() {
    let text = format!("short\n{}needle{}\nend needle\n", "é".repeat(300), "b".repeat(500));
    for wanted in [literal("needle"), regex("ne+dle"), regex("(?-m)ne+dle")] {
        let mut wanted = wanted;
        (wanted.max_line, wanted.after) = (20, 1);
        let found = search(&text, &wanted).await;
        let lines = &found.passages[0].lines;
        assert_eq!((found.matches, lines[0].number, lines[0].offset), (2, 2, 6));
        assert!(
            lines[0].text.contains("needle") && lines[0].text.len() <= 20,
            "{lines:?}"
        );
        let cut = lines[0].cut.clone().unwrap();
        assert_eq!(
            text.as_bytes()[usize::try_from(cut.start).unwrap()..usize::try_from(cut.end).unwrap()],
            *lines[0].text.as_bytes()
        );
        assert_eq!((found.in_parts, lines[1].text.as_str()), (Some(2), "end needle"));
        let notice = found.notice().unwrap();
        assert!(
            notice.contains("searched in parts") && notice.contains("1 line is cut"),
            "{notice}"
        );
    }
    let found = search(&text, &regex("^b|b$|é$")).await;
    assert_eq!((found.matches, found.passages[0].lines[0].number), (1, 2));
    assert_eq!(search(&text, &regex("^b|é$|b.*x")).await.matches, 0);
}

#[tokio::test]
async fn what_cannot_be_searched_for_is_refused_with_the_reason() {
    let (reader, digest, _) = reader(b"a\n", 5).await;
    let with = |change: fn(&mut Search)| {
        let mut wanted = literal("a");
        change(&mut wanted);
        wanted
    };
    for (wanted, reason) in [
        (
            regex("a("),
            "pattern \"a(\": it is no regular expression: unclosed group",
        ),
        (literal(""), "it is empty"),
        (regex("a\nb"), "it has a line end"),
        (literal(&"a".repeat(5000)), "longer than 4096 bytes"),
        (with(|wanted| wanted.before = 1001), "at most 1000"),
        (with(|wanted| wanted.from_line = 0), "count from 1"),
        (with(|wanted| wanted.max_matches = 0), "at least one"),
    ] {
        let error = reader.search(&digest, &wanted).await.unwrap_err();
        assert!(
            matches!(error, AssetError::Invalid { .. }) && error.to_string().contains(reason),
            "{error}"
        );
    }
}

/// What a search has to find, line by line over the whole text.
fn naive(text: &[u8], search: &Search) -> (String, u64, Option<u64>) {
    let expression = match &search.pattern {
        Pattern::Literal(text) => regex::escape(text),
        Pattern::Regex(expression) => expression.clone(),
    };
    let regex = regex::bytes::RegexBuilder::new(&expression)
        .case_insensitive(search.ignore_case)
        .multi_line(true)
        .crlf(true)
        .build()
        .unwrap();
    let whole: Vec<&[u8]> = text.split_inclusive(|byte| *byte == b'\n').collect();
    let bare = |line: &[u8], end: &[u8]| line.strip_suffix(end).map(<[u8]>::to_vec);
    let lines: Vec<Vec<u8>> = whole
        .iter()
        .map(|line| bare(line, b"\r\n").or(bare(line, b"\n")).unwrap_or(line.to_vec()))
        .collect();
    let first = usize::try_from(search.from_line).unwrap() - 1;
    let matching: Vec<usize> = (first..lines.len())
        .filter(|index| match bare(whole[*index], b"\r") {
            Some(line) => regex.is_match(&line),
            None => regex.is_match(&lines[*index]),
        })
        .collect();
    let cap = usize::try_from(search.max_matches).unwrap();
    let counted = &matching[..matching.len().min(cap)];
    let beyond = matching.get(cap).copied().unwrap_or(lines.len());
    let is_shown = |index: usize| {
        index >= first
            && index < beyond
            && counted
                .iter()
                .any(|hit| index + search.before >= *hit && index <= *hit + search.after)
    };
    let (mut out, mut last) = (String::new(), None);
    for (index, line) in lines.iter().enumerate().filter(|(index, _)| is_shown(*index)) {
        if last.is_some_and(|last| last + 1 != index) {
            out.push_str("--\n");
        }
        last = Some(index);
        let mark = if counted.contains(&index) { ':' } else { '-' };
        writeln!(out, "{}{mark}{}", index + 1, String::from_utf8_lossy(line)).unwrap();
    }
    let is_complete =
        |last: &usize| last + 1 == lines.len() || (beyond == lines.len() && last + search.after >= lines.len());
    let stopped = counted.last().filter(|last| counted.len() == cap && !is_complete(last));
    (out, counted.len() as u64, stopped.map(|last| *last as u64 + 2))
}

#[tokio::test]
async fn a_file_is_searched_as_a_stream_is() {
    let folder = tempfile::tempdir().unwrap();
    let store = Arc::new(ObjectAssets::directory(folder.path()).unwrap());
    let (file, memory) = (
        AssetReader::new(Arc::clone(&store) as _),
        AssetReader::new(Arc::new(ObjectAssets::memory())),
    );
    let mut text = String::new();
    for number in 0..100_000 {
        writeln!(text, "{number} é").unwrap();
    }
    let mut digest = None;
    for reader in [&file, &memory] {
        let put = reader.store().put_bytes(text.clone().into(), MimeType::plain()).await;
        digest = Some(put.unwrap().digest);
    }
    let digest = digest.unwrap();
    let mut later = regex("9 é$");
    (later.from_line, later.max_matches, later.before) = (60_000, 3, 2);
    for wanted in [literal("99999 é"), literal("777"), later] {
        let found = file.search(&digest, &wanted).await.unwrap();
        assert!(found.matches > 0);
        assert_eq!(found, memory.search(&digest, &wanted).await.unwrap());
    }
    let opened = store.open_file(&digest).await.unwrap();
    assert_eq!(opened.unwrap().metadata().unwrap().len(), text.len() as u64);
    assert!(memory.store().open_file(&digest).await.unwrap().is_none());
}

fn patterns() -> impl Strategy<Value = Pattern> {
    let expressions = [
        "^a", "b$", "^$", "a.*b", "[^a]+", "\\s+b", "a\\s*$", "\\bb\\b", "(?i)A", "\\Ab", "b\\z", "(?-m)^b$", "é|😀b",
        "a|\\n", "(?s)a.b", "\\Bb", "a*", "\\xff|b",
    ];
    prop_oneof![
        prop::sample::select(vec!["a", "b", "ab", "é", "bb", " ", "aabab", "😀"])
            .prop_map(|text| Pattern::Literal(text.to_owned())),
        prop::sample::select(expressions.to_vec()).prop_map(|text| Pattern::Regex(text.to_owned())),
    ]
}

proptest! {
    #[test]
    fn a_search_finds_what_looking_at_every_line_finds(
        text in texts(),
        pattern in patterns(),
        ignore_case in any::<bool>(),
        (before, after) in (0..4_usize, 0..4_usize),
        max_matches in prop_oneof![1..6_u64, Just(1000)],
        from in 0..5_usize,
        piece in prop_oneof![1..8_usize, Just(10_000)],
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let total = text.split_inclusive(|byte| *byte == b'\n').count();
        let mut search = Search::new(pattern);
        (search.ignore_case, search.before, search.after) = (ignore_case, before, after);
        (search.max_matches, search.from_line) = (max_matches, from.min(total.saturating_sub(1)) as u64 + 1);
        runtime.block_on(async {
            let (mut reader, digest, _) = reader(&text, piece).await;
            reader.part = 1000;
            let found = reader.search(&digest, &search).await.unwrap();
            let (lines, matches, stopped) = naive(&text, &search);
            prop_assert_eq!(shown(&found), lines);
            prop_assert_eq!(found.matches, matches);
            prop_assert_eq!(found.stopped.map(|stopped| stopped.next_line), stopped);
            if found.stopped.is_none() {
                prop_assert_eq!(found.left.after, Some(0));
            }
            if found.stopped.is_none() && search.from_line == 1 {
                prop_assert_eq!(reader.indices.get(&digest).seen(), text.len() as u64);
            }
            Ok(())
        })?;
    }

    #[test]
    fn a_literal_is_found_in_a_long_line_wherever_its_parts_meet(
        start in 0..300_usize,
        end in 0..300_usize,
        piece in 1..8_usize,
        is_regex in any::<bool>(),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let text = format!("{}xyz{}", "a".repeat(start), "b".repeat(end));
        let pattern = if is_regex { Pattern::Regex("x.z".to_owned()) } else { Pattern::Literal("xyz".to_owned()) };
        runtime.block_on(async {
            let (reader, digest, _) = reader(text.as_bytes(), piece).await;
            let found = reader.search(&digest, &Search::new(pattern)).await.unwrap();
            prop_assert_eq!(found.matches, 1);
            prop_assert!(found.passages[0].lines[0].text.contains("xyz"));
            Ok(())
        })?;
    }
}

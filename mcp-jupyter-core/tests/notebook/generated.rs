//! Notebooks of every kind, generated.

use mcp_jupyter_core::model::Json;
use proptest::prelude::*;
use proptest::sample::{Index, select};

/// Characters that end a line, need an escape, or take several bytes.
const CHARS: &[&str] = &[
    "a",
    "b",
    " ",
    "#",
    "\n",
    "\n",
    "\r",
    "\r\n",
    "\u{b}",
    "\u{c}",
    "\u{1c}",
    "\u{1d}",
    "\u{1e}",
    "\u{1f}",
    "\u{85}",
    "\u{2028}",
    "\u{2029}",
    "\"",
    "\\",
    "/",
    "\t",
    "\u{8}",
    "\0",
    "\u{7f}",
    "é",
    "\u{c2}",
    "€",
    "\u{e000}",
    "\u{1f600}",
];

fn text() -> impl Strategy<Value = String> {
    prop::collection::vec(select(CHARS), 0..12).prop_map(|chars| chars.concat())
}

/// A multi-line string, whole or as a list that need not be split at the ends of lines.
fn lines() -> impl Strategy<Value = Json> {
    prop_oneof![
        text().prop_map(Json::from),
        prop::collection::vec(text().prop_map(Json::from), 0..4).prop_map(Json::Array),
    ]
}

/// JSON whose numbers Python writes as they are read.
fn json() -> impl Strategy<Value = Json> {
    let leaf = prop_oneof![
        Just(Json::Null),
        any::<bool>().prop_map(Json::from),
        any::<i64>().prop_map(Json::from),
        select(vec![0.5_f64, -1.25, 100.0, f64::NAN, f64::INFINITY]).prop_map(Json::from),
        text().prop_map(Json::from),
    ];
    leaf.prop_recursive(3, 12, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Json::Array),
            prop::collection::vec((text(), inner), 0..4).prop_map(|members| members.into_iter().collect()),
        ]
    })
}

type Members = Vec<(String, Json)>;

fn members(names: &'static [&'static str]) -> impl Strategy<Value = Members> {
    let name = prop_oneof![select(names).prop_map(str::to_owned), text()];
    prop::collection::vec((name, json()), 0..4)
}

fn object(pairs: impl IntoIterator<Item = (&'static str, Json)>, more: Members) -> Json {
    let pairs = pairs.into_iter().map(|(name, value)| (name.to_owned(), value));
    more.into_iter().chain(pairs).collect()
}

const MIME_TYPES: &[&str] = &[
    "text/plain",
    "text/html",
    "text/",
    "image/png",
    "image/svg+xml",
    "application/javascript",
    "application/pdf",
    "odd",
];
const JSON_MIME_TYPES: &[&str] = &[
    "application/json",
    "application/vnd.plotly.v1+json",
    "application/+json",
];

fn bundle() -> impl Strategy<Value = Json> {
    let member = prop_oneof![
        (select(MIME_TYPES), lines()),
        (select(JSON_MIME_TYPES), json()),
        (select(JSON_MIME_TYPES), lines()),
    ];
    prop::collection::vec(member, 0..4).prop_map(|members| members.into_iter().collect())
}

fn count() -> impl Strategy<Value = Json> {
    prop::option::of(0..10_000_i64).prop_map(Json::from)
}

fn output() -> impl Strategy<Value = Json> {
    let metadata = || members(&["image/png", "isolated"]).prop_map(|members| object([], members));
    prop_oneof![
        (select(vec!["stdout", "stderr"]), lines()).prop_map(|(name, text)| object(
            [("output_type", "stream".into()), ("name", name.into()), ("text", text)],
            vec![]
        )),
        (bundle(), metadata()).prop_map(|(data, metadata)| object(
            [
                ("output_type", "display_data".into()),
                ("data", data),
                ("metadata", metadata)
            ],
            vec![]
        )),
        (bundle(), metadata(), count()).prop_map(|(data, metadata, count)| object(
            [
                ("output_type", "execute_result".into()),
                ("data", data),
                ("metadata", metadata),
                ("execution_count", count)
            ],
            vec![]
        )),
        (text(), text(), prop::collection::vec(text().prop_map(Json::from), 0..3)).prop_map(
            |(ename, evalue, traceback)| object(
                [
                    ("output_type", "error".into()),
                    ("ename", ename.into()),
                    ("evalue", evalue.into()),
                    ("traceback", traceback.into())
                ],
                vec![]
            )
        ),
    ]
}

const CELL_METADATA: &[&str] = &["trusted", "collapsed", "custom", "editable"];
const METADATA: &[&str] = &["signature", "orig_nbformat_minor", "widgets", "celltoolbar"];

fn cell() -> impl Strategy<Value = Json> {
    let attachments = prop::option::of(prop::collection::vec((text(), bundle()), 0..3));
    let text_cell = (select(vec!["markdown", "raw"]), attachments).prop_map(|(cell_type, attachments)| {
        let attachments = attachments.map(|attachments| ("attachments".to_owned(), attachments.into_iter().collect()));
        object([("cell_type", cell_type.into())], attachments.into_iter().collect())
    });
    let code_cell = (prop::collection::vec(output(), 0..4), count()).prop_map(|(outputs, count)| {
        object(
            [
                ("cell_type", "code".into()),
                ("outputs", outputs.into()),
                ("execution_count", count),
            ],
            vec![],
        )
    });
    let tags = prop::option::of(prop::collection::hash_set("[a-z ]{1,3}", 0..3));
    let metadata = (members(CELL_METADATA), tags).prop_map(|(mut members, tags)| {
        members.extend(tags.map(|tags| {
            (
                "tags".to_owned(),
                tags.into_iter().map(Json::from).collect::<Vec<_>>().into(),
            )
        }));
        object([], members)
    });
    (prop_oneof![text_cell, code_cell], lines(), metadata).prop_map(|(mut cell, source, metadata)| {
        let members = cell.as_object_mut().unwrap();
        members.insert("source".to_owned(), source);
        members.insert("metadata".to_owned(), metadata);
        cell
    })
}

/// A notebook of nbformat 4.0 to 4.5 that nbformat can read and write.
pub(crate) fn notebook() -> impl Strategy<Value = Json> {
    let kernelspec = prop::option::of(
        members(&["language", "env"])
            .prop_map(|more| object([("name", "python3".into()), ("display_name", "Python 3".into())], more)),
    );
    let metadata = (kernelspec, members(METADATA))
        .prop_map(|(kernelspec, more)| object(kernelspec.map(|kernelspec| ("kernelspec", kernelspec)), more));
    (0..6_i64, metadata, prop::collection::vec(cell(), 0..5)).prop_map(|(minor, metadata, mut cells)| {
        for (index, cell) in cells.iter_mut().enumerate().filter(|_| minor == 5) {
            cell.as_object_mut()
                .unwrap()
                .insert("id".to_owned(), format!("cell-{index}").into());
        }
        object(
            [
                ("nbformat", 4_i64.into()),
                ("nbformat_minor", minor.into()),
                ("metadata", metadata),
                ("cells", cells.into()),
            ],
            vec![],
        )
    })
}

/// A notebook in which one value, wherever it stands, is replaced, removed or given a member more.
pub(crate) fn damaged_notebook() -> impl Strategy<Value = Json> {
    (notebook(), any::<Index>(), 0..3_u8, json(), select(NAMES)).prop_map(|(mut notebook, at, how, value, name)| {
        let count = count_members(&notebook);
        let mut remaining = at.index(count.max(1));
        damage(&mut notebook, &mut remaining, &mut |members, index| match how {
            0 => drop(members.shift_remove_index(index)),
            1 => members[index] = value.clone(),
            _ => drop(members.insert(name.to_owned(), value.clone())),
        });
        // Without a version nbformat takes it for one of version 1, and keeps nothing.
        notebook
            .as_object_mut()
            .unwrap()
            .insert("nbformat".to_owned(), 4_i64.into());
        notebook
    })
}

const NAMES: &[&str] = &[
    "id",
    "name",
    "tags",
    "title",
    "authors",
    "kernelspec",
    "language_info",
    "jupyter",
    "execution",
    "scrolled",
    "format",
    "text",
    "attachments",
    "outputs",
    "worksheets",
    "collapsed",
    "more",
];

type Damage<'a> = &'a mut dyn FnMut(&mut mcp_jupyter_core::model::JsonMap, usize);

fn count_members(value: &Json) -> usize {
    match value {
        Json::Array(items) => items.iter().map(count_members).sum(),
        Json::Object(members) => members.values().map(|value| 1 + count_members(value)).sum(),
        _ => 0,
    }
}

/// Calls `damage` for the member that comes after `remaining` others.
fn damage(value: &mut Json, remaining: &mut usize, change: Damage<'_>) -> bool {
    match value {
        Json::Array(items) => items.iter_mut().any(|item| damage(item, remaining, change)),
        Json::Object(members) => {
            for index in 0..members.len() {
                if *remaining == 0 {
                    change(members, index);
                    return true;
                }
                *remaining -= 1;
                if damage(&mut members[index], remaining, change) {
                    return true;
                }
            }
            false
        }
        _ => false,
    }
}

/// `count` notebooks of a strategy, the same every time.
pub(crate) fn sample(strategy: &impl Strategy<Value = Json>, count: usize) -> Vec<String> {
    use proptest::strategy::ValueTree as _;
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let mut next = || strategy.new_tree(&mut runner).unwrap().current().to_string();
    (0..count).map(|_| next()).collect()
}

use proptest::prelude::*;
use proptest::sample::{Index, select};

use super::*;
use crate::model::JsonMap;

fn empty(minor: u8) -> Notebook {
    let document = format!(r#"{{"cells": [], "metadata": {{}}, "nbformat": 4, "nbformat_minor": {minor}}}"#);
    Notebook::parse(document.as_bytes()).unwrap()
}

/// Code cells, each with its id as its source.
fn notebook(ids: &str) -> Notebook {
    let mut notebook = empty(5);
    *notebook.cells_mut() = ids.split(' ').map(|id| Cell::new_code(id.into(), id)).collect();
    notebook
}

fn changed(base: &Notebook, change: impl FnOnce(&mut Vec<Cell>)) -> Notebook {
    let mut notebook = base.clone();
    change(notebook.cells_mut());
    notebook
}

/// Each cell as `id=source`, by the cells' order.
fn cells(notebook: &Notebook) -> Vec<String> {
    let text = |cell: &Cell| format!("{}={}", cell.id(), cell.source());
    notebook.cells().iter().map(text).collect()
}

fn text(notebook: &Notebook) -> String {
    String::from_utf8(notebook.to_bytes()).unwrap()
}

fn execute(cell: &mut Cell, count: i64) {
    let text = format!("out {count}");
    let output = [("output_type", "stream"), ("name", "stdout"), ("text", &text)];
    *cell.outputs_mut() = vec![output.into_iter().collect()];
    cell.set_execution_count(Some(count));
    let times = std::iter::once(("shell.execute_reply", text)).collect();
    cell.metadata_mut().insert("execution".to_owned(), times);
}

#[test]
fn changes_of_different_cells_both_stay() {
    let base = notebook("a b c d");
    let ours = changed(&base, |cells| {
        cells[0].set_source("ours");
        cells.remove(1);
        cells.push(Cell::new_code("o".into(), "o"));
    });
    let theirs = changed(&base, |cells| {
        cells[2].set_source("theirs");
        cells.insert(0, Cell::new_code("t".into(), "t"));
    });
    let merged = Notebook::merge(&base, &ours, &theirs);
    assert_eq!(cells(&merged.notebook), ["t=t", "a=ours", "c=theirs", "d=d", "o=o"]);
    assert!(merged.conflicts.is_empty() && merged.changed_ours);
}

#[test]
fn of_two_sources_theirs_stays_and_ours_beside_it() {
    let base = notebook("a b");
    let ours = changed(&base, |cells| cells[0].set_source("ours"));
    let theirs = changed(&base, |cells| cells[0].set_source("theirs"));
    let Merge3 {
        notebook, conflicts, ..
    } = Notebook::merge(&base, &ours, &theirs);
    let [MergeConflict::Source { cell, kept }] = conflicts.as_slice() else {
        panic!("{conflicts:?}");
    };
    assert_eq!(
        cells(&notebook),
        ["a=theirs".to_owned(), format!("{kept}=ours"), "b=b".to_owned()]
    );
    assert_eq!((cell.as_str(), notebook.cells()[1].cell_type()), ("a", CellType::Raw));
    let metadata = Json::from(notebook.cells()[1].metadata().clone()).to_string();
    assert_eq!(
        metadata,
        r#"{"mcp_jupyter":{"conflict":{"cell":"a","cell_type":"code"}}}"#
    );
    let read = Notebook::parse(&notebook.to_bytes()).unwrap();
    assert!(read.quirks().is_empty());
    let again = Notebook::merge(&base, &ours, &read);
    assert_eq!(again.conflicts, conflicts);
    assert!(!again.changed_ours);
    assert!(Notebook::merge(&base, &theirs, &theirs).conflicts.is_empty());
}

#[test]
fn a_source_that_was_kept_and_thrown_away_is_kept_again() {
    let origin = notebook("a");
    let ours = changed(&origin, |cells| cells[0].set_source("ours"));
    let theirs = changed(&origin, |cells| cells[0].set_source("theirs"));
    let base = Notebook::merge(&origin, &ours, &theirs).notebook;
    let ours = changed(&base, |cells| cells[0].set_source("ours"));
    let theirs = changed(&base, |cells| {
        cells[0].set_source("theirs again");
        cells.pop();
    });
    let merged = Notebook::merge(&base, &ours, &theirs).notebook;
    assert_eq!(sources(&merged), ["theirs again", "ours"]);
}

#[test]
fn what_is_edited_outlives_a_deletion() {
    let base = notebook("a b c");
    let ours = changed(&base, |cells| {
        cells[0].set_source("ours");
        cells.remove(1);
    });
    let theirs = changed(&base, |cells| {
        cells[1].add_tag("theirs");
        cells.remove(0);
    });
    let merged = Notebook::merge(&base, &ours, &theirs);
    assert_eq!(cells(&merged.notebook), ["a=ours", "b=b", "c=c"]);
    let expected = [
        MergeConflict::DeletedByThem { cell: "a".into() },
        MergeConflict::DeletedByUs { cell: "b".into() },
    ];
    assert_eq!(merged.conflicts, expected);
    let executed = changed(&base, |cells| execute(&mut cells[1], 1));
    assert_eq!(
        cells(&Notebook::merge(&base, &executed, &notebook("a c")).notebook),
        ["a=a", "c=c"]
    );
}

#[test]
fn one_id_inserted_twice_becomes_two() {
    let base = notebook("a");
    let insert = |source: &str| changed(&base, |cells| cells.push(Cell::new_code("n".into(), source)));
    let merged = Notebook::merge(&base, &insert("ours"), &insert("theirs"));
    let [MergeConflict::SameId { cell, renamed }] = merged.conflicts.as_slice() else {
        panic!("{:?}", merged.conflicts);
    };
    assert_eq!(cell.as_str(), "n");
    assert_eq!(
        cells(&merged.notebook),
        ["a=a".to_owned(), "n=theirs".to_owned(), format!("{renamed}=ours")]
    );
    let mut executed = insert("same");
    execute(&mut executed.cells_mut()[1], 3);
    let merged = Notebook::merge(&base, &executed, &insert("same"));
    assert_eq!(text(&merged.notebook), text(&executed));
    assert!(merged.conflicts.is_empty());
}

#[test]
fn outputs_are_those_of_the_source() {
    let base = changed(&notebook("a b c"), |cells| {
        for cell in cells {
            execute(cell, 1);
        }
    });
    let ours = changed(&base, |cells| {
        execute(&mut cells[0], 2);
        execute(&mut cells[1], 2);
        execute(&mut cells[2], 2);
    });
    let theirs = changed(&base, |cells| {
        execute(&mut cells[1], 3);
        cells[2].set_source("theirs");
        execute(&mut cells[2], 3);
    });
    let merged = Notebook::merge(&base, &ours, &theirs).notebook;
    let results = |cell: &Cell| {
        (
            cell.execution_count(),
            cell.outputs().to_vec(),
            cell.metadata()["execution"].clone(),
        )
    };
    assert_eq!(results(&merged.cells()[0]), results(&ours.cells()[0]));
    assert_eq!(results(&merged.cells()[1]), results(&ours.cells()[1]));
    assert_eq!(results(&merged.cells()[2]), results(&theirs.cells()[2]));
}

#[test]
fn metadata_are_merged_by_member() {
    let with = |pairs: &[(&str, &str)]| {
        let members: JsonMap = pairs
            .iter()
            .map(|(name, value)| ((*name).to_owned(), Json::from(*value)))
            .collect();
        let mut notebook = notebook("a");
        notebook.cells_mut()[0].metadata_mut().extend(members.clone());
        *notebook.metadata_mut() = members;
        notebook
    };
    let base = with(&[("both", "0"), ("gone", "0"), ("same", "0")]);
    let ours = with(&[("both", "ours"), ("same", "0"), ("new", "ours")]);
    let theirs = with(&[("both", "theirs"), ("gone", "0"), ("same", "1")]);
    let expected = with(&[("both", "theirs"), ("same", "1"), ("new", "ours")]);
    assert_eq!(text(&Notebook::merge(&base, &ours, &theirs).notebook), text(&expected));
}

#[test]
fn a_type_and_a_source_may_come_from_two_sides() {
    let base = changed(&notebook("a"), |cells| execute(&mut cells[0], 1));
    let ours = changed(&base, |cells| cells[0].set_source("# title"));
    let theirs = changed(&base, |cells| cells[0] = Cell::new_markdown("a".into(), "a"));
    for merged in [
        Notebook::merge(&base, &ours, &theirs),
        Notebook::merge(&base, &theirs, &ours),
    ] {
        let expected = changed(&base, |cells| cells[0] = Cell::new_markdown("a".into(), "# title"));
        assert_eq!(text(&merged.notebook), text(&expected));
        assert!(merged.conflicts.is_empty());
    }
}

/// As `notebook`, below nbformat 4.5 and read from a file.
fn without_ids(sources: &str) -> Notebook {
    let mut notebook = empty(4);
    *notebook.cells_mut() = sources
        .split(' ')
        .map(|source| Cell::new_code("".into(), source))
        .collect();
    Notebook::parse(&notebook.to_bytes()).unwrap()
}

fn sources(notebook: &Notebook) -> Vec<&str> {
    notebook.cells().iter().map(Cell::source).collect()
}

#[test]
fn cells_without_ids_are_aligned() {
    let base = without_ids("a b c");
    let theirs = without_ids("n a b2 c");
    let in_memory = changed(&base, |cells| {
        cells.swap(0, 2);
        cells[0].set_source("c2");
    });
    let merged = Notebook::merge(&base, &in_memory, &theirs).notebook;
    assert_eq!(sources(&merged), ["n", "c2", "b2", "a"]);
    let [a, b, c] = [0, 1, 2].map(|at| base.cells()[at].id());
    assert_eq!(
        [merged.position(a), merged.position(b), merged.position(c)],
        [Some(3), Some(2), Some(1)]
    );
    let read = without_ids("a b c2");
    assert_eq!(
        sources(&Notebook::merge(&base, &read, &theirs).notebook),
        ["n", "a", "b2", "c2"]
    );
    assert_eq!(merged.nbformat_minor(), 4);
}

#[test]
fn what_has_been_merged_is_recognised_without_ids() {
    let base = without_ids("a b c");
    let ours = changed(&base, |cells| {
        cells[0].set_source("ours");
        cells.swap(0, 2);
        cells.push(Cell::new_code("new".into(), "new"));
    });
    let merged = Notebook::merge(&base, &ours, &without_ids("theirs b c d"));
    assert_eq!(sources(&merged.notebook), ["c", "d", "b", "theirs", "ours", "new"]);
    let again = Notebook::merge(&base, &ours, &read(&merged.notebook));
    assert_eq!(sources(&again.notebook), sources(&merged.notebook));
    assert!(!again.changed_ours);
}

#[test]
fn ids_that_have_become_part_of_the_file_stay() {
    let base = without_ids("a b");
    let mut ours = base.clone();
    ours.cells_mut()[0].set_source("ours");
    let theirs = changed(&notebook("x y z"), |cells| {
        cells[0].set_source("a");
        cells[1].set_source("b");
    });
    let merged = Notebook::merge(&base, &ours, &theirs).notebook;
    assert_eq!(
        (cells(&merged), merged.nbformat_minor()),
        (vec!["x=ours".into(), "y=b".into(), "z=z".into()], 5)
    );
    // Ours is the one that has created a cell.
    let mut raised = ours.clone();
    raised.minor = 5;
    raised.rest.insert("nbformat_minor".to_owned(), Json::from(5_i64));
    raised.cells_mut().push(Cell::new_code("new".into(), "new"));
    let merged = Notebook::merge(&base, &raised, &without_ids("a t b")).notebook;
    assert_eq!(sources(&merged), ["ours", "t", "b", "new"]);
    assert_eq!(
        (merged.nbformat_minor(), merged.cells()[0].id()),
        (5, base.cells()[0].id())
    );
    assert!(Notebook::parse(&merged.to_bytes()).unwrap().quirks().is_empty());
}

/// One change: its kind, a cell, another place and a number.
type Change = (u8, Index, Index, u8);

fn changes() -> impl Strategy<Value = Vec<Change>> {
    prop::collection::vec((0..8_u8, any::<Index>(), any::<Index>(), 0..4_u8), 0..6)
}

fn bases(minors: std::ops::Range<u8>) -> impl Strategy<Value = Notebook> {
    let source = select(vec!["x", "y", "# z", ""]);
    (prop::collection::vec((source, 0..3_u8), 0..7), minors).prop_map(|(sources, minor)| {
        let mut notebook = empty(minor);
        for (at, (source, kind)) in sources.into_iter().enumerate() {
            let kind = [CellType::Code, CellType::Markdown, CellType::Raw][usize::from(kind)];
            notebook
                .cells_mut()
                .push(Cell::of_type(format!("b{at}").into(), kind, source));
        }
        Notebook::parse(&notebook.to_bytes()).unwrap()
    })
}

/// A state that came from `base`; what is new in it bears `name`, or no name where both sides are to make the same.
fn side(base: &Notebook, name: &str, changes: &[Change]) -> Notebook {
    let mut notebook = base.clone();
    for (kind, at, to, number) in changes {
        let name = if *number == 0 { "both" } else { name };
        let new = format!("{name} {number}");
        let cells = notebook.cells_mut();
        if cells.is_empty() || *kind == 0 {
            let id = format!("{}-{number}", if *number < 2 { "same" } else { name });
            if !cells.iter().any(|cell| cell.id().as_str() == id) {
                cells.insert(to.index(cells.len() + 1), Cell::new_code(id.into(), &new));
            }
            continue;
        }
        let at = at.index(cells.len());
        match kind {
            1 | 2 => cells[at].set_source(new),
            3 => drop(cells.remove(at)),
            4 => {
                let cell = cells.remove(at);
                cells.insert(to.index(cells.len() + 1), cell);
            }
            5 if cells[at].cell_type() == CellType::Code => execute(&mut cells[at], i64::from(*number)),
            6 => drop(
                cells[at]
                    .metadata_mut()
                    .insert(format!("m{}", number % 2), Json::from(name)),
            ),
            _ => {
                let (id, source) = (cells[at].id().clone(), cells[at].source().to_owned());
                cells[at] = Cell::new_markdown(id, &source);
                notebook.metadata_mut().insert("title".to_owned(), Json::from(new));
            }
        }
    }
    notebook
}

fn read(notebook: &Notebook) -> Notebook {
    Notebook::parse(&notebook.to_bytes()).unwrap()
}

proptest! {
    #[test]
    fn where_one_side_alone_has_changed_it_is_the_result(base in bases(4..6), changes in changes()) {
        let changed = side(&base, "x", &changes);
        for x in [&changed, &read(&changed)] {
            for (ours, theirs) in [(x, &base), (&base, x), (x, x), (x, &read(x))] {
                let merged = Notebook::merge(&base, ours, theirs);
                prop_assert_eq!(text(&merged.notebook), text(x));
                prop_assert_eq!(merged.conflicts, vec![]);
                prop_assert_eq!(merged.changed_ours, text(theirs) != text(x));
            }
        }
    }

    #[test]
    fn no_text_is_lost_and_ids_are_unique(
        base in bases(4..6), ours in changes(), theirs in changes(), is_read in any::<bool>(), raises in 0..3,
    ) {
        let (mut ours, mut theirs) = (side(&base, "ours", &ours), side(&base, "theirs", &theirs));
        for (side, at) in [(&mut ours, 1), (&mut theirs, 2)] {
            if at == raises {
                side.minor = 5;
                side.rest.insert("nbformat_minor".to_owned(), Json::from(5_i64));
            }
        }
        if is_read {
            ours = read(&ours);
        }
        let theirs = read(&theirs);
        let merged = Notebook::merge(&base, &ours, &theirs);
        let (before, after) = (sources(&base), sources(&merged.notebook));
        for source in sources(&ours).into_iter().chain(sources(&theirs)) {
            prop_assert!(before.contains(&source) || after.contains(&source), "{} is lost", source);
        }
        let ids: HashSet<_> = merged.notebook.cells().iter().map(Cell::id).collect();
        prop_assert_eq!(ids.len(), merged.notebook.cells().len());
        prop_assert!(merged.conflicts.iter().all(|conflict| ids.contains(conflict.cell())));
        prop_assert!(read(&merged.notebook).quirks().is_empty());
        prop_assert_eq!(merged.changed_ours, text(&merged.notebook) != text(&theirs));
    }

    #[test]
    fn a_merge_once_more_adds_nothing(base in bases(5..6), ours in changes(), theirs in changes()) {
        let (ours, theirs) = (side(&base, "ours", &ours), side(&base, "theirs", &theirs));
        let merged = Notebook::merge(&base, &ours, &theirs).notebook;
        let again = Notebook::merge(&base, &ours, &merged);
        prop_assert_eq!(text(&again.notebook), text(&merged));
        prop_assert!(!again.changed_ours);
        // A result that goes out once more adds no cell; the order of theirs may weigh more then.
        let back = Notebook::merge(&base, &merged, &theirs).notebook;
        let of_result = |cell: &Cell| merged.cell(cell.id()) == Some(cell);
        prop_assert!(back.cells().len() == merged.cells().len() && back.cells().iter().all(of_result));
    }
}

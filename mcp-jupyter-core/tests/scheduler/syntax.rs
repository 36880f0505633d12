//! What `verify.py` cannot execute: syntax of later Pythons, magics of extensions, other languages, and sources that are
//! no Python at all.

use mcp_jupyter_core::scheduler::{CodeCell, Document, Outcome, PlanRequest, Planner};

fn planner_in(language: &str, sources: &[&str]) -> Planner {
    let cells = sources.iter().enumerate().map(|(index, source)| CodeCell {
        id: format!("cell-{index}").as_str().into(),
        index,
        source: (*source).into(),
        tags: Vec::new(),
    });
    let mut planner = Planner::default();
    planner.sync(Document {
        language: language.to_owned(),
        cells: cells.collect(),
    });
    planner
}

/// The edges as `from-to:names`.
fn edges_in(language: &str, sources: &[&str]) -> String {
    let edges = planner_in(language, sources).edges();
    let edge = |edge: &mcp_jupyter_core::scheduler::Edge| {
        format!("{}-{}:{}", edge.from.index, edge.to.index, edge.names.join(","))
    };
    edges.iter().map(edge).collect::<Vec<_>>().join(" ")
}

fn edges(sources: &[&str]) -> String {
    edges_in("python", sources)
}

/// Why something about the first cell is not known.
fn unknown(source: &str) -> Option<String> {
    planner_in("python", &[source]).effects().swap_remove(0).1.unknown
}

fn writes(source: &str) -> Vec<String> {
    planner_in("python", &[source]).effects().swap_remove(0).1.writes
}

#[test]
fn a_type_alias_binds_its_name_and_is_evaluated_late() {
    assert_eq!(edges(&["type X = list[int]", "y: X = []", "print(y)"]), "0-1:X 1-2:y");
    assert_eq!(edges(&["type Pair[T] = tuple[T, T]", "T = 1", "Pair"]), "0-2:Pair");
}

#[test]
fn type_parameters_are_seen_by_their_definition_only() {
    assert_eq!(
        edges(&["T = 1", "def f[T](x: T) -> T:\n    return x", "f(T)"]),
        "0-2:T 1-2:f"
    );
    assert_eq!(edges(&["T = 1", "class A[T]:\n    x: T", "A"]), "1-2:A");
    assert_eq!(
        unknown("def f[T: int = bool, *Ts = *tuple[int], **P = [int]](): pass"),
        None
    );
}

#[test]
fn template_strings_read_what_they_interpolate() {
    assert_eq!(edges(&["x = 1\nw = 3", "t = t'{x!r:{w}}'", "t"]), "0-1:w,x 1-2:t");
}

#[test]
fn exceptions_need_no_brackets() {
    let sources = [
        "E = (OSError,)",
        "try:\n    x = 1\nexcept E, ValueError:\n    x = 2",
        "x",
    ];
    assert_eq!(edges(&sources), "0-1:E 1-2:x");
    assert_eq!(unknown(sources[1]), None);
}

#[test]
fn sql_magics_read_values_and_bind_results() {
    assert_eq!(
        edges(&[
            "%load_ext sql",
            "limit = 3",
            "%%sql rows <<\nSELECT * FROM t LIMIT {{limit}}",
            "rows"
        ]),
        "1-2:limit 2-3:rows"
    );
    assert_eq!(
        edges(&["n = 3", "rows = %sql SELECT * FROM t LIMIT :n", "len(rows)"]),
        "0-1:n 1-2:rows"
    );
    assert_eq!(edges(&["n = 3", "%%sql\nSELECT $n"]), "0-1:n");
}

#[test]
fn automagic_is_seen_where_the_line_is_no_python() {
    assert_eq!(unknown("pip install pandas"), None);
    assert_eq!(edges(&["x = 1", "pip install pandas\ny = x", "y"]), "0-1:x 1-2:y");
    assert_eq!(unknown("ls -l data"), None);
    assert_eq!(edges(&["ls = [1]", "ls"]), "0-1:ls");
}

#[test]
fn r_magics_take_and_give_names() {
    assert_eq!(
        edges(&["x = 1\nz = 2", "%%R -i x,z -o y,w\ny <- x", "print(y, w)"]),
        "0-1:x,z 1-2:w,y"
    );
}

#[test]
fn magics_are_calls_in_a_script() {
    assert_eq!(
        edges(&["x = 1", "get_ipython().run_line_magic('time', 'y = x')", "y"]),
        "0-1:x 1-2:y"
    );
    assert_eq!(
        edges(&["x = 1", "get_ipython().run_cell_magic('time', '', 'y = x\\n')", "y"]),
        "0-1:x 1-2:y"
    );
    assert_eq!(edges(&["x = 1", "get_ipython().system('ls {x}')"]), "0-1:x");
    assert_eq!(
        edges(&["x = 1", "out = get_ipython().getoutput('ls $x')", "out"]),
        "0-1:x 1-2:out"
    );
    assert_eq!(unknown("get_ipython().run_line_magic('matplotlib', 'inline')"), None);
}

#[test]
fn options_of_script_magics_bind_names() {
    assert_eq!(edges(&["%%bash --out x --err e\nls $HOME", "print(x, e)"]), "0-1:e,x");
    assert_eq!(edges(&["HOME = 1", "%%bash\nls $HOME"]), "");
}

#[test]
fn cells_in_other_languages_depend_on_all_above() {
    assert_eq!(edges_in("R", &["x <- 1", "y <- 2", "z <- 3"]), "0-1:* 1-2:*");
    let mut planner = planner_in("julia", &["x = 1", "y = 2"]);
    for id in ["cell-0", "cell-1"] {
        planner.executed(&id.into(), &Outcome::Ok, None);
    }
    assert!(planner.plan(&PlanRequest::default()).unwrap().is_empty());
}

#[test]
fn cell_magics_nest() {
    assert_eq!(
        edges(&["x = 1", "%%time\n%%capture out\ny = x", "print(y, out)"]),
        "0-1:x 1-2:out,y"
    );
    assert_eq!(edges(&["ls = 1", "%%capture out\n%%bash\nls", "out"]), "1-2:out");
}

#[test]
fn a_cell_magic_may_stand_below_blank_lines() {
    assert_eq!(edges(&["x = 1", "\n  \n%%time\ny = x", "y"]), "0-1:x 1-2:y");
    assert_eq!(edges(&["x = 1", "\n  %%time\n  y = x", "y"]), "0-1:x 1-2:y");
}

#[test]
fn indentation_of_a_whole_cell_does_not_matter() {
    assert_eq!(edges(&["    x = 1\n    y = 2", "\tx", "  !ls {y}"]), "0-1:x 0-2:y");
}

#[test]
fn help_and_shell_read_the_names_in_them() {
    assert_eq!(edges(&["x = 1", "?x"]), "0-1:x");
    assert_eq!(edges(&["x = 1", "x??"]), "0-1:x");
    assert_eq!(edges(&["x = 1\ny = 2", "!cmd {x} $y $$z"]), "0-1:x,y");
    assert_eq!(edges(&["x = 1", "files = !ls {x}/*.csv", "files"]), "0-1:x 1-2:files");
    assert_eq!(edges(&["x = 1", "a = %time x", "a"]), "0-1:x 1-2:a");
}

#[test]
fn lines_may_end_in_any_way() {
    assert_eq!(edges(&["x = 1\r\ny = 2\r\n", "x + \\\r\n  y"]), "0-1:x,y");
    assert_eq!(edges(&["x = 1\ry = 2", "print(x)\rprint(y)"]), "0-1:x,y");
    assert_eq!(edges(&["x = 1", "%%time\r\ny = x\r\n", "y"]), "0-1:x 1-2:y");
    assert_eq!(edges(&["x = 1", "%%time\ry = x", "y"]), "0-1:x 1-2:y");
    assert_eq!(edges(&["x = 1\n\x0cy = 2", "x + y"]), "0-1:x,y");
}

#[test]
fn names_are_compared_as_python_normalises_them() {
    assert_eq!(edges(&["ﬁle = 1", "file"]), "0-1:file");
    assert_eq!(edges(&["größe = 1", "größe"]), "0-1:größe");
}

#[test]
fn what_is_no_python_is_flagged_and_keeps_its_sound_lines() {
    let broken = "x = 1\nfor for for\ny = (";
    assert!(unknown(broken).is_some_and(|reason| reason.contains("not valid Python")));
    assert!(writes(broken).contains(&"x".to_owned()));
    for source in [
        "x = 1\0",
        "\u{feff}x = (",
        "f'{",
        "'''",
        "(((((",
        "%%",
        "%",
        "!",
        "?",
        "\\",
        "\u{1f600}",
        "=",
        "@",
    ] {
        planner_in("python", &[source, "x"]);
    }
}

/// How many of the towers are too high for the parser's tree from some height on.
const SYNTAX: usize = 19;

/// Sources whose trees are deep, though some hardly look like it.
fn towers(height: usize) -> Vec<String> {
    let repeat = |part: &str| part.repeat(height);
    let blocks = |head: &str| {
        let lines = (0..height).map(|depth| format!("{}{head}:\n", " ".repeat(depth)));
        lines.collect::<String>() + &" ".repeat(height) + "pass\n"
    };
    vec![
        format!("x = 1{}", repeat(" + 1")),
        format!("x = 1{}", repeat("*1+1")),
        format!("x = 1{}", repeat("**1")),
        format!("x = {}a", repeat("-+~")),
        format!("x = {}a", repeat("not ")),
        format!("x = {}a", repeat("await ")),
        format!("x = {}a", repeat("lambda: ")),
        format!("x = {}a", repeat("lambda a, b=1: ")),
        format!("x = {}a", repeat("a if b else ")),
        format!("def f():\n    x = a{}", repeat(".b")),
        format!("def f():\n    x = a{}", repeat("()")),
        format!("def f():\n    x = a{}", repeat("[0]")),
        format!("def f():\n    x = (a\n{})", repeat("    .b(c, d)\n")),
        format!("x = {}a{}", repeat("("), repeat(")")),
        format!("x = {}a{}", repeat("["), repeat("]")),
        format!("x = {}a{}", repeat("[b, "), repeat("]")),
        format!("x = {}a{}", repeat("f(b, c="), repeat(")")),
        format!("x = {}a{}", repeat("{1: "), repeat("}")),
        format!("x = {}a{}", repeat("f'{"), repeat("}'")),
        format!("x = {}", repeat("[")),
        format!("match a:\n    case {}a{}:\n        pass", repeat("["), repeat("]")),
        format!("if a:\n    pass\n{}", repeat("elif b:\n    pass\n")),
        format!("%time x = 1{}", repeat("+1")),
        format!("%timeit {}a", repeat("not ")),
        format!("!echo {{{}a}}", repeat("not ")),
        format!("%%time\nx = 1{}", repeat("+1")),
        format!("get_ipython().run_cell_magic('time', '', 'x = {}a')", repeat("\\x2d")),
        format!("a = ()\n{}f(a)", repeat("a = (a, [1])\n")),
        format!("a = (1,)\n{}f(a)", repeat("a = (a, (a, 1))\n")),
        format!("a = []\n{}list(a)", repeat("a = map(str, a)\n")),
        format!("a = []\n{}list(a)", repeat("a = (i for i in a)\n")),
        blocks("if a"),
        blocks("def f()"),
        blocks("class A"),
        blocks("for i in j"),
        blocks("with a"),
        blocks("try"),
    ]
}

#[test]
fn no_height_is_too_much() {
    for height in [90, 300] {
        for tower in towers(height) {
            planner_in("python", &[&tower, "x"]);
        }
    }
    for tower in towers(20_000).into_iter().take(SYNTAX) {
        planner_in("python", &[&tower, "x"]);
    }
}

#[test]
fn much_that_is_not_deep_is_analysed() {
    let list = format!("x = [{}]", "(-1, f(a[0])), ".repeat(5000));
    assert_eq!(unknown(&list), None);
    let text = format!("x = '''{}'''", "(not a lambda: ".repeat(5000));
    assert_eq!(unknown(&text), None);
    let lines = format!("if x:\n{}", "    y = f(a.b.c[1]) + 2\n".repeat(2000));
    assert_eq!(unknown(&lines), None);
    let choices = format!("if a:\n    pass\n{}", "elif b == 1:\n    pass\n".repeat(2000));
    assert_eq!(unknown(&choices), None);
}

//! Parameters are what papermill makes of them: compared with papermill itself, over many generated values.

mod papermill;

use mcp_jupyter_core::model::{Json, JsonMap};
use mcp_jupyter_core::session::notebook::Notebook;
use mcp_jupyter_core::session::parameters::{
    InjectOptions, Language, PapermillRecord, ParameterArguments, PathValues, fill_path, hide_sources, inject,
    inspect_source, record_papermill, typed_value,
};
use papermill::{Papermill, call};
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;

/// The Python to compare with; without one the test ends, saying why.
macro_rules! papermill_or_return {
    () => {
        match Papermill::find() {
            Ok(papermill) => papermill,
            Err(reason) => {
                println!("not compared with papermill: {reason}");
                return;
            }
        }
    };
}

/// The same values on every run.
fn generated<T: std::fmt::Debug>(count: usize, strategy: impl Strategy<Value = T>) -> Vec<T> {
    let mut runner = TestRunner::deterministic();
    let mut value = || {
        strategy
            .new_tree(&mut runner)
            .expect("the strategy has values")
            .current()
    };
    (0..count).map(|_| value()).collect()
}

/// Fails with all the pairs that differ.
fn assert_no_differences(differences: &[String]) {
    assert!(
        differences.is_empty(),
        "{} differences:\n{}",
        differences.len(),
        differences.join("\n")
    );
}

fn read_yaml(text: &str) -> Result<Json, String> {
    let arguments = ParameterArguments {
        yaml: vec![text.to_owned()],
        ..ParameterArguments::default()
    };
    arguments.read().map(Json::from).map_err(|error| error.to_string())
}

/// With the literal that Python would write, unlike `Json::from`.
fn python_float(value: f64) -> Json {
    typed_value(&format!("{value:?}"))
}

fn json_value() -> impl Strategy<Value = Json> {
    let leaf = prop_oneof![
        Just(Json::Null),
        any::<bool>().prop_map(Json::from),
        any::<i64>().prop_map(Json::from),
        (-3_000_000_000_i64..3_000_000_000).prop_map(Json::from),
        "-?[1-9][0-9]{20,40}".prop_map(|digits| Json::parse(digits.as_bytes()).expect("digits are a number")),
        prop::num::f64::ANY.prop_map(python_float),
        (-1e6..1e6).prop_map(python_float),
        "\\PC{0,12}".prop_map(Json::from),
        "[ -~\n\t\r\u{0}-\u{ff}\u{2028}]{0,12}".prop_map(Json::from),
        "[a-z'\"\\\\$`! ]{0,8}".prop_map(Json::from),
    ];
    leaf.prop_recursive(3, 24, 5, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Json::from),
            prop::collection::vec(("\\PC{0,5}|[a-z'\"]{1,4}", inner), 0..5).prop_map(Json::from_iter),
        ]
    })
}

#[test]
fn typed_arguments_are_read_as_papermill_reads_them() {
    let papermill = papermill_or_return!();
    let mut texts = generated(
        3000,
        "[-+]?[0-9_.eE]{0,8}|[ \t]?[-+]?(inf|nan|Infinity|True|None)\\s?|\\PC{0,4}",
    );
    texts.extend(generated(
        1000,
        "[-+ ]?[0-9٠-٩०-९]{1,3}[_.]?[0-9]{0,3}([eE][-+]?[0-9_]{1,3})?[\u{a0}\u{3000}\u{1c}\n]?",
    ));
    texts.extend([
        "1".repeat(4300),
        "1".repeat(4301),
        "0".repeat(4301),
        format!("-{}", "_1".repeat(9)),
    ]);
    let answers = papermill.ask(texts.iter().map(|text| call("typed", [text.as_str().into()])).collect());
    let mut differences = Vec::new();
    for (text, answer) in texts.iter().zip(answers) {
        let ours = typed_value(text).to_string();
        let theirs = answer.expect("any text has a value").to_string();
        if ours != theirs {
            differences.push(format!("{text:?}: ours {ours}, papermill's {theirs}"));
        }
    }
    assert_no_differences(&differences);
}

const SCALARS: &[&str] = &[
    "y",
    "Y",
    "yes",
    "Yes",
    "yEs",
    "NO",
    "on",
    "oFF",
    "true",
    "TRUE",
    "tRUE",
    "~",
    "null",
    "Null",
    "nULL",
    "''",
    "0",
    "-0",
    "+0",
    "00",
    "07",
    "08",
    "0o7",
    "0b",
    "0b10",
    "-0b1_1",
    "0x1F",
    "0X1F",
    "0xg",
    "1_000",
    "_1",
    "1_",
    "1__0",
    "1:30",
    "1:60",
    "-1:30",
    "12:30:45",
    "012:30",
    "1:2.5",
    "190:20:30.15",
    "1.",
    ".5",
    "-.5",
    "+.5",
    ".",
    "..",
    "1.5",
    "1._5",
    "1e3",
    "1.0e3",
    "1.0e+3",
    "1.0E-3",
    "1.e+3",
    ".5e+1",
    "-.inf",
    "+.INF",
    ".Inf",
    ".iNF",
    ".nan",
    "-.nan",
    ".NaN",
    "inf",
    "nan",
    "1.2.3",
    "2020-01-01",
    "2020-01-01T10:00:00Z",
    "2020-01-01 10:00",
    "0.1",
    "1,000",
    "1 000",
    "<<x",
    "a: b",
    "'a: b'",
    "a#b",
    "a #b",
    "\"\\u00e9\\n\\x41\\t\"",
    "'it''s'",
    "\"\\/\"",
    "!!str 1",
    "!!int \"0x10\"",
    "!!float 3",
    "!!bool \"yes\"",
    "!!null x",
    "- 1",
    "[1, [2], {a: b, c}]",
    "{a: 1, ? b : 2}",
    "[a, b, ]",
    "{\"a\":1}",
    "{a: [], b: {}}",
    "[a: 1, b]",
    "*x",
    "&x 1",
    "@x",
    "`x`",
    "%x",
    "é",
    "😀",
    "9223372036854775808",
    "-0x8000000000000000000",
    "0777777777777777777777777",
    "1.7976931348623157e+309",
    "5e-324",
    "123456789012345678.0",
    "0.00001",
    "|\n  a\n   b\n\n",
    ">-\n  a\n  b\n\n  c\n",
    "|+\n  a\n\n",
    "a\n  b\n\n  c",
    "\"a\n  b\"",
    "'a\n\n  b'",
    "&a [*b]",
    "{2: 2, 1.5: 3, yes: 4, ~: 5}",
    "{<<: {a: 1, b: 2}, a: 3}",
    "{a: 3, <<: [{a: 1, b: 2}, {b: 3, c: 4}]}",
    "{<<: 1}",
    "{? [1] : 2}",
    "!!binary aGk=",
    "!!set {a, b}",
    "!!timestamp 2020-01-01",
    "! 12",
];

/// Asserts that `texts` mean the same to both; where `lenient`, one may refuse what the other reads: papermill's YAML
/// 1.1 is stricter about tabs and the names of anchors, YAML 1.2 wants lines indented deeper than their key.
fn assert_yaml_agrees(papermill: &Papermill, texts: &[String], lenient: bool) {
    let answers = papermill.ask(
        texts
            .iter()
            .map(|text| call("read_yaml", [text.as_str().into()]))
            .collect(),
    );
    let mut differences = Vec::new();
    for (text, answer) in texts.iter().zip(answers) {
        match (
            read_yaml(text).map(|value| value.to_string()),
            answer.map(|value| value.to_string()),
        ) {
            (Ok(ours), Ok(theirs)) if ours == theirs => {}
            (Err(_), Err(_)) => {}
            (Ok(_), Err(_)) if lenient => {}
            (Err(ours), Ok(_)) if lenient && ours.contains("invalid indentation") => {}
            (ours, theirs) => differences.push(format!("{text:?}: ours {ours:?}, papermill's {theirs:?}")),
        }
    }
    assert_no_differences(&differences);
}

#[test]
fn yaml_is_read_as_papermill_reads_it() {
    let papermill = papermill_or_return!();
    let mut texts: Vec<String> = SCALARS.iter().map(|scalar| format!("v: {scalar}")).collect();
    let scalar = "[-+]?[0-9]{1,3}[0-9_.:xbeE+-]{0,6}|[-+.0-9_:xobeE]{1,7}|[a-zA-Z]{1,4}|[-+]?0[xbo]?[0-9a-f_]{1,8}";
    texts.extend(generated(4000, scalar).iter().map(|scalar| format!("v: {scalar}")));
    assert_yaml_agrees(&papermill, &texts, false);

    // YAML 1.1 breaks lines at these, YAML 1.2 and JSON do not.
    let breaks = ['\u{85}', '\u{2028}', '\u{2029}'];
    let mut texts: Vec<_> = generated(600, json_value())
        .iter()
        .map(|value| format!("{{\"v\": {value}}}"))
        .collect();
    texts.retain(|text| !text.contains(breaks));
    texts.extend(generated(3000, "a: [-a0:'\",\\[{\\]}*!|> ]{0,16}( #a*)?"));
    let token = "|[abc]:|[abc]: [0-9'\"]{1,3}|- [ab]|- [abc]: no|[abc]: [|>][-+]?|text|\\[1,|\\{a: 1,|2\\]|\\}|# c|<<: *a|- &a|a: &a|- *a";
    let line = (0..4_usize, token).prop_map(|(depth, token)| format!("{}{token}\n", "  ".repeat(depth)));
    let document = prop::collection::vec(line, 1..8).prop_map(|lines| format!("v:\n{}", lines.concat()));
    texts.extend(generated(8000, document));
    assert_yaml_agrees(&papermill, &texts, true);
}

#[test]
fn code_is_written_as_papermill_writes_it() {
    let papermill = papermill_or_return!();
    let languages = [
        ("python3", "python"),
        ("ir", "R"),
        ("spylon", "scala"),
        ("julia-1.10", "julia"),
        ("x", "bash"),
        ("x", "matlab"),
        (".net-csharp", "C#"),
        (".net-fsharp", "F#"),
        (".net-powershell", "PowerShell"),
        ("pysparkkernel", "x"),
        ("sparkkernel", "x"),
        ("sparkrkernel", "x"),
        ("x", "cobol"),
    ];
    let names = prop::collection::vec(("_{0,2}[a-z]{1,4}", json_value()), 0..4).prop_map(JsonMap::from_iter);
    let values = generated(400, names);
    let cases: Vec<_> = languages
        .iter()
        .flat_map(|language| values.iter().map(move |value| (language, value)))
        .collect();
    let question = |((kernel, language), value): &(&(&str, &str), &JsonMap)| {
        call("code", [(*kernel).into(), (*language).into(), (*value).clone().into()])
    };
    let answers = papermill.ask(cases.iter().map(question).collect());
    let mut differences = Vec::new();
    for (((kernel, language), value), answer) in cases.iter().zip(answers) {
        let ours = Language::find(kernel, language).and_then(|language| language.parameters_code(value));
        let ours = ours.map(Json::from).map_err(|error| error.to_string());
        match (ours, answer) {
            (Ok(ours), Ok(theirs)) if ours == theirs => {}
            (Err(_), Err(_)) => {}
            (ours, theirs) => differences.push(format!("{language}: ours {ours:?}, papermill's {theirs:?}")),
        }
    }
    assert_no_differences(&differences);
}

#[test]
fn python_code_evaluates_to_the_values() {
    let papermill = papermill_or_return!();
    let named = prop::collection::vec(("p_[a-z]{1,4}", json_value()), 0..6).prop_map(JsonMap::from_iter);
    let values = generated(600, named);
    let code = |parameters: &JsonMap| {
        Language::Python
            .parameters_code(parameters)
            .expect("Python has all values")
    };
    let answers = papermill.ask(
        values
            .iter()
            .map(|value| call("evaluate", [code(value).into()]))
            .collect(),
    );
    let mut differences = Vec::new();
    for (value, answer) in values.into_iter().zip(answers) {
        let value = Json::from(value).to_string();
        let evaluated = answer.map(|evaluated| evaluated.to_string());
        if evaluated.as_ref() != Ok(&value) {
            differences.push(format!("given {value}, evaluated {evaluated:?}"));
        }
    }
    assert_no_differences(&differences);
}

#[test]
fn ordinary_cells_are_inspected_as_papermill_does() {
    let papermill = papermill_or_return!();
    let annotation = "|: int|: 'str'|: Dict\\[str, List\\[int\\]\\]|:float";
    let value = "-?[0-9]{1,3}(\\.[0-9])?|'[a-z :;,]{0,6}'|\"[a-z(\\[]{0,4}\"|None|True|f\\(x, [0-9]\\)|[a-z]\\.b \\+ 1\
                 |\\[\n    1,\n    'a',  # first\n\n    # nothing\n\\]|\\{\n  'a': [1,\n 2], 'b': \\{\\}\\}|\\(1, 2\\)";
    let comment = "|  # [a-z ,.]{1,12}|  # type: (int|List\\[int\\])( [a-z]{1,6})?|#[a-z]{2}";
    let assignment = ("[a-z_]{2}_[a-z0-9]{1,3}", annotation, " ?= ?", value, comment)
        .prop_map(|(name, annotation, sign, value, comment)| format!("{name}{annotation}{sign}{value}{comment}"));
    let line = prop_oneof![8 => assignment, 1 => Just(String::new()), 1 => "# [a-z ]{1,8}".prop_map(String::from)];
    let cell = prop::collection::vec(line, 0..6).prop_map(|lines| lines.join("\n"));
    let sources = generated(1500, cell);
    let answers = papermill.ask(
        sources
            .iter()
            .map(|source| call("inspect", [source.as_str().into()]))
            .collect(),
    );
    let mut differences = Vec::new();
    for (source, answer) in sources.iter().zip(answers) {
        let ours = inspect_source(Language::Python, source).into_iter().map(|parameter| {
            Json::from_iter([
                ("name", parameter.name),
                (
                    "inferred_type_name",
                    parameter.declared_type.unwrap_or_else(|| "None".to_owned()),
                ),
                ("default", parameter.default),
                ("help", parameter.help),
            ])
        });
        let ours = Json::from(ours.collect::<Vec<_>>());
        if answer.as_ref() != Ok(&ours) {
            differences.push(format!("{source:?}: ours {ours}, papermill's {answer:?}"));
        }
    }
    assert_no_differences(&differences);
}

#[test]
fn paths_are_filled_as_papermill_fills_them() {
    let papermill = papermill_or_return!();
    let parameters =
        r#"{"i": -42, "f": 1234.5678, "z": 0.00001, "s": "naïve", "b": true, "n": null, "l": [7, {"k": "v"}]}"#;
    let Ok(Json::Object(parameters)) = Json::parse(parameters.as_bytes()) else {
        panic!("the parameters are an object");
    };
    let values = PathValues {
        run_uuid: String::new(),
        local_time: jiff::civil::DateTime::default(),
        utc_time: jiff::civil::DateTime::default(),
    };
    let spec = "(:([*é]?[<>^=])?[-+ ]?0?[0-9]{0,2}(\\.[0-9])?[sdxXobeEfFgG%]?)?";
    let field = ("[ifzsbnx]|l\\[[0-9]\\]|l\\[1\\]\\[k\\]", spec).prop_map(|(name, spec)| format!("{{{name}{spec}}}"));
    let part = prop_oneof![4 => field, 1 => "[a-z/._-]{0,5}|\\{\\{|\\}\\}|\\{|\\}".prop_map(String::from)];
    let mut templates = generated(3000, prop::collection::vec(part, 1..3).prop_map(|parts| parts.concat()));
    templates.extend(["{i:#x}-{i:#010b}", "{b:5}-{b:d}", "{s!r}", "{}", "{0}", "{i:,}"].map(str::to_owned));
    let question = |template: &String| call("path", [template.as_str().into(), parameters.clone().into()]);
    let answers = papermill.ask(templates.iter().map(question).collect());
    let mut differences = Vec::new();
    for (template, answer) in templates.iter().zip(answers) {
        match (fill_path(template, &parameters, &values).map(Json::from), answer) {
            (Ok(ours), Ok(theirs)) if ours == theirs => {}
            (Err(_), Err(_)) => {}
            // What is not supported is refused, never written otherwise.
            (Err(error), Ok(_))
                if ["not supported", "name one item"]
                    .iter()
                    .any(|it| error.to_string().contains(it)) => {}
            (ours, theirs) => differences.push(format!("{template}: ours {ours:?}, papermill's {theirs:?}")),
        }
    }
    assert_no_differences(&differences);
}

/// Notebooks whose cells have each of the tags, or none, in many orders, some after a run of papermill.
fn tagged_notebook() -> impl Strategy<Value = Json> {
    let tags = prop_oneof![
        Just(None),
        Just(Some(vec![])),
        Just(Some(vec!["parameters"])),
        Just(Some(vec!["injected-parameters"])),
        Just(Some(vec!["other", "parameters"])),
    ];
    let cell = (tags, any::<bool>()).prop_map(|(tags, code)| {
        let mut metadata = JsonMap::new();
        if let Some(tags) = tags {
            metadata.insert(
                "tags".to_owned(),
                tags.into_iter().map(Json::from).collect::<Vec<_>>().into(),
            );
        }
        let mut cell = JsonMap::from_iter([
            ("cell_type".to_owned(), if code { "code" } else { "markdown" }.into()),
            ("metadata".to_owned(), metadata.into()),
            ("source".to_owned(), Json::from(vec!["a = 1\n".into(), "b = 2".into()])),
        ]);
        if code {
            cell.insert("outputs".to_owned(), Vec::new().into());
            cell.insert("execution_count".to_owned(), Json::Null);
        }
        cell.into()
    });
    (prop::collection::vec(cell, 0..5), any::<bool>(), 0..6_i64).prop_map(|(cells, run_before, minor)| {
        let mut notebook = Json::parse(
            br#"{"nbformat": 4, "metadata": {"kernelspec": {"name": "python3", "display_name": "Python"},
                "language_info": {"name": "python"}}}"#,
        )
        .expect("a notebook without cells");
        let members = notebook.as_object_mut().expect("it is an object");
        members.insert("nbformat_minor".to_owned(), minor.into());
        members.insert("cells".to_owned(), cells.into());
        if run_before {
            let papermill = Json::parse(br#"{"version": "1.0", "parameters": {"z": 1}, "duration": 3.0}"#);
            let metadata = members["metadata"].as_object_mut().expect("it is an object");
            metadata.insert("papermill".to_owned(), papermill.expect("an object"));
        }
        notebook
    })
}

/// What papermill prepares, by our functions; without what it draws by lot.
fn prepared(notebook: &Json, parameters: &JsonMap, report_mode: bool, version: &str) -> Json {
    let mut document = Notebook::parse(notebook.to_string().as_bytes()).expect("a notebook");
    let record = PapermillRecord {
        version,
        input_path: "in.ipynb",
        output_path: Some("out.ipynb"),
        parameters,
    };
    record_papermill(&mut document, &record);
    let options = InjectOptions {
        report_mode,
        ..InjectOptions::default()
    };
    inject(&mut document, parameters, &options).expect("Python has all values");
    if report_mode {
        hide_sources(&mut document);
    }
    let mut prepared = Json::parse(&document.to_bytes()).expect("a notebook is JSON");
    let members = prepared.as_object_mut().expect("a notebook is an object");
    members.shift_remove("nbformat_minor");
    if let Some(Json::Array(cells)) = members.get_mut("cells") {
        for cell in cells.iter_mut().filter_map(Json::as_object_mut) {
            cell.shift_remove("id");
        }
    }
    prepared
}

#[test]
fn notebooks_are_prepared_as_papermill_does() {
    let papermill = papermill_or_return!();
    let version = papermill
        .ask(vec![call("version", [])])
        .remove(0)
        .expect("papermill has a version");
    let version = version.as_str().expect("the version is a text").into_owned();
    let parameters = prop::collection::vec(("[a-d]", json_value()), 0..3).prop_map(JsonMap::from_iter);
    let cases = generated(300, (tagged_notebook(), parameters, any::<bool>()));
    let question = |(notebook, parameters, report_mode): &(Json, JsonMap, bool)| {
        call(
            "prepare",
            [notebook.clone(), parameters.clone().into(), (*report_mode).into()],
        )
    };
    let answers = papermill.ask(cases.iter().map(question).collect());
    let mut differences = Vec::new();
    for ((notebook, parameters, report_mode), answer) in cases.iter().zip(answers) {
        let ours = prepared(notebook, parameters, *report_mode, &version).to_string();
        let theirs = answer.map(|prepared| prepared.to_string());
        if theirs.as_ref() != Ok(&ours) {
            differences.push(format!("{notebook}: ours {ours}, papermill's {theirs:?}"));
        }
    }
    assert_no_differences(&differences);
}

//! A server in a configuration of JSON, with comments where the client reads them.

use jsonc_parser::ParseOptions;
use jsonc_parser::cst::{CstInputValue, CstObject, CstRootNode};
use serde_json::{Value, json};

use super::Entry;

/// What clients that read comments read.
const OPTIONS: ParseOptions = ParseOptions {
    allow_comments: true,
    allow_trailing_commas: true,
    allow_loose_object_property_names: false,
    allow_missing_commas: false,
    allow_single_quoted_strings: false,
    allow_hexadecimal_numbers: false,
    allow_unary_plus_numbers: false,
    allow_bare_decimal_point_numbers: false,
    allow_non_finite_numbers: false,
    allow_extended_string_escapes: false,
};

/// The text with the server in it; why not, where that cannot be.
pub(super) fn with_server(text: &str, servers: &str, has_comments: bool, entry: &Entry) -> Result<String, String> {
    if !has_comments && !text.trim().is_empty() {
        // The parser below passes over comments that it is told to refuse.
        serde_json::from_str::<serde::de::IgnoredAny>(text).map_err(|error| error.to_string())?;
    }
    let root = CstRootNode::parse(text, &OPTIONS).map_err(|error| {
        format!(
            "line {}, column {}: {}",
            error.line_display(),
            error.column_display(),
            error.kind()
        )
    })?;
    let is_new = root.value().is_none();
    let object = root.object_value_or_create().ok_or("it has to be an object")?;
    let servers = object
        .object_value_or_create(servers)
        .ok_or_else(|| format!("{servers:?} has to be an object"))?;
    let members = [
        ("type", json!("stdio")),
        ("command", json!(entry.command)),
        ("args", json!(entry.args)),
    ];
    match servers.get(&entry.name) {
        None => {
            let members = members.map(|(name, value)| (name.to_owned(), input(&value)));
            servers.append(&entry.name, CstInputValue::Object(members.into()));
        }
        Some(found) => update(&found.object_value().ok_or_else(|| entry.taken())?, &members, entry)?,
    }
    let mut text = root.to_string();
    if is_new && !text.ends_with('\n') {
        text.push('\n');
    }
    Ok(text)
}

/// Sets the members that say how the server is started; others, such as its environment, are the user's.
fn update(object: &CstObject, members: &[(&str, Value)], entry: &Entry) -> Result<(), String> {
    let value_of = |name: &str| object.get(name).and_then(|member| member.to_serde_value());
    let command = value_of("command");
    let args = value_of("args").and_then(|args| args.as_array().cloned());
    let args = args
        .into_iter()
        .flatten()
        .filter_map(|arg| arg.as_str().map(str::to_owned));
    if !Entry::is_ours(command.as_ref().and_then(Value::as_str), args) {
        return Err(entry.taken());
    }
    for (name, value) in members {
        match object.get(name) {
            Some(member) if member.to_serde_value().as_ref() == Some(value) => {}
            Some(member) => member.set_value(input(value)),
            // What is left out is this for every client.
            None if *name == "type" => {}
            None => {
                object.append(name, input(value));
            }
        }
    }
    Ok(())
}

fn input(value: &Value) -> CstInputValue {
    match value {
        Value::Array(values) => CstInputValue::Array(values.iter().map(input).collect()),
        _ => CstInputValue::String(value.as_str().unwrap_or_default().to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry() -> Entry {
        Entry {
            name: "jupyter".to_owned(),
            command: "/bin/mcp-jupyter".to_owned(),
            args: vec!["serve".to_owned(), "--root".to_owned(), "/a \"b\"".to_owned()],
        }
    }

    fn written(text: &str) -> Result<String, String> {
        with_server(text, "servers", true, &entry())
    }

    #[test]
    fn a_new_file_has_the_server_alone() {
        let made = written("").unwrap();
        let expected = json!({ "servers": { "jupyter": {
            "type": "stdio", "command": "/bin/mcp-jupyter", "args": ["serve", "--root", "/a \"b\""],
        } } });
        assert_eq!(serde_json::from_str::<Value>(&made).unwrap(), expected);
        assert!(made.ends_with("}\n"), "{made}");
        assert_eq!(written(&made).unwrap(), made);
    }

    #[test]
    fn all_else_stays_as_it_is() {
        let text = "// mine\n{\n    \"inputs\": [1, 2],   // odd\n    \"servers\": {\n        \"other\": {\"url\": \"x\"},\n    },\n}\n";
        let made = written(text).unwrap();
        let added = made.lines().skip(5).take(5).collect::<Vec<_>>();
        assert_eq!(added[0], "        \"jupyter\": {");
        let others: Vec<&str> = made.lines().filter(|line| !added.contains(line)).collect();
        assert_eq!(others.join("\n") + "\n", text);
        assert_eq!(written(&made).unwrap(), made);
    }

    #[test]
    fn an_own_entry_is_renewed_and_keeps_what_the_user_has_added() {
        let text = "{ \"servers\": { \"jupyter\": { \"command\": \"/old/mcp-jupyter\", \"args\": [], \"env\": { \"A\": \"1\" } } } }";
        let made: Value = serde_json::from_str(&written(text).unwrap()).unwrap();
        assert_eq!(made["servers"]["jupyter"]["env"], json!({ "A": "1" }));
        assert_eq!(made["servers"]["jupyter"]["command"], "/bin/mcp-jupyter");
        assert_eq!(made["servers"]["jupyter"]["args"].as_array().unwrap().len(), 3);
    }

    #[test]
    fn what_is_malformed_or_of_others_is_refused() {
        for (text, reason) in [
            ("{ \"servers\": {", "line 1, column"),
            ("[]", "has to be an object"),
            ("{ \"servers\": [] }", "\"servers\" has to be an object"),
            (
                "{ \"servers\": { \"jupyter\": { \"command\": \"jupyter-mcp-server\" } } }",
                "another program",
            ),
            (
                "{ \"servers\": { \"jupyter\": { \"url\": \"http://x\" } } }",
                "another program",
            ),
            ("{ \"servers\": { \"jupyter\": 3 } }", "another program"),
        ] {
            let refused = written(text).unwrap_err();
            assert!(refused.contains(reason), "{text}: {refused}");
        }
        let refused = with_server("{ // no\n}", "servers", false, &entry()).unwrap_err();
        assert!(refused.contains("line 1"), "{refused}");
    }
}

//! A server in a configuration of TOML.

use toml_edit::{Array, DocumentMut, Item, Table, TableLike, TomlError, Value, value};

use super::Entry;

/// The table that has the servers.
const SERVERS: &str = "mcp_servers";

/// The text with the server in it; why not, where that cannot be.
pub(super) fn with_server(text: &str, entry: &Entry) -> Result<String, String> {
    let mut document: DocumentMut = text.parse().map_err(|error: TomlError| {
        // Its first line says where.
        let place = error.to_string();
        let place = place.lines().next().unwrap_or_default();
        format!("{place}: {}", error.message().replace('\n', ", "))
    })?;
    let servers = document.entry(SERVERS).or_insert_with(|| {
        let mut table = Table::new();
        table.set_implicit(true);
        Item::Table(table)
    });
    let servers = servers
        .as_table_like_mut()
        .ok_or_else(|| format!("{SERVERS} has to be a table"))?;
    match servers.get_mut(&entry.name) {
        None => {
            let mut table = Table::new();
            table.insert("command", value(&entry.command));
            table.insert("args", value(array(&entry.args)));
            servers.insert(&entry.name, Item::Table(table));
        }
        Some(found) => update(found.as_table_like_mut().ok_or_else(|| entry.taken())?, entry)?,
    }
    Ok(document.to_string())
}

/// Sets what says how the server is started; all else is the user's.
fn update(table: &mut dyn TableLike, entry: &Entry) -> Result<(), String> {
    let command = table.get("command").and_then(Item::as_str).map(str::to_owned);
    let args = table.get("args").and_then(strings);
    if !Entry::is_ours(command.as_deref(), args.clone().unwrap_or_default().into_iter()) {
        return Err(entry.taken());
    }
    if command.as_ref() != Some(&entry.command) {
        set(table, "command", Value::from(&entry.command));
    }
    if args.as_ref() != Some(&entry.args) {
        set(table, "args", Value::from(array(&entry.args)));
    }
    Ok(())
}

/// Sets a value, and leaves the comment behind it.
fn set(table: &mut dyn TableLike, name: &str, mut new: Value) {
    match table.get_mut(name).and_then(Item::as_value_mut) {
        Some(old) => {
            *new.decor_mut() = old.decor().clone();
            *old = new;
        }
        None => {
            table.insert(name, Item::Value(new));
        }
    }
}

fn array(args: &[String]) -> Array {
    args.iter().collect()
}

fn strings(item: &Item) -> Option<Vec<String>> {
    let values = item.as_array()?.iter();
    values.map(|value| value.as_str().map(str::to_owned)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(text: &str) -> Result<String, String> {
        let entry = Entry {
            name: "jupyter".to_owned(),
            command: "/bin/mcp-jupyter".to_owned(),
            args: vec!["serve".to_owned()],
        };
        with_server(text, &entry)
    }

    const OURS: &str = "[mcp_servers.jupyter]\ncommand = \"/bin/mcp-jupyter\"\nargs = [\"serve\"]\n";

    #[test]
    fn all_else_stays_as_it_is() {
        assert_eq!(written("").unwrap(), OURS);
        let text = "model = 'o'  # mine\n\n[mcp_servers.other]\nurl = \"x\"\n";
        let made = written(text).unwrap();
        assert_eq!(made, format!("{text}\n{OURS}"));
        assert_eq!(written(&made).unwrap(), made);
    }

    #[test]
    fn an_own_entry_is_renewed_and_keeps_what_the_user_has_added() {
        let text = "[mcp_servers]\njupyter = { command = \"mcp-jupyter\", args = [\"serve\", \"--root\", \"/x\"], env = { A = \"1\" } }\n";
        let expected =
            "[mcp_servers]\njupyter = { command = \"/bin/mcp-jupyter\", args = [\"serve\"], env = { A = \"1\" } }\n";
        assert_eq!(written(text).unwrap(), expected);
    }

    #[test]
    fn what_is_malformed_or_of_others_is_refused() {
        for (text, reason) in [
            ("a = ", "line 1, column"),
            ("mcp_servers = 3", "mcp_servers has to be a table"),
            ("[mcp_servers.jupyter]\ncommand = \"other\"", "another program"),
        ] {
            let refused = written(text).unwrap_err();
            assert!(refused.contains(reason), "{text}: {refused}");
        }
    }
}

//! The MCP server with clients that have more than tools: roots, elicitation.

use serde_json::{Value, json};

use crate::serving::{Client, Served, Told, told};

/// The answer to a request, while the server's own ones are answered by `reply`, by their method and parameters.
fn answer_with(client: &mut Client, id: u64, mut reply: impl FnMut(&str, &Value) -> Value) -> Value {
    loop {
        let message = client.message();
        if message["method"].is_null() && message["id"] == id {
            return message;
        }
        if !message["method"].is_null() && !message["id"].is_null() {
            let result = reply(message["method"].as_str().unwrap(), &message["params"]);
            client.send(&json!({ "jsonrpc": "2.0", "id": message["id"], "result": result }));
        }
    }
}

fn call_with(client: &mut Client, tool: &str, arguments: &Value, reply: impl FnMut(&str, &Value) -> Value) -> Told {
    let id = client.ask("tools/call", &json!({ "name": tool, "arguments": arguments }));
    told(&answer_with(client, id, reply))
}

#[test]
fn a_clients_roots_narrow_what_it_may_use_until_it_has_others() {
    let Some(lab) = Served::new() else { return };
    lab.notebook("in/a.ipynb", &["x = 1"]);
    lab.notebook("b.ipynb", &["x = 1"]);
    let mut client = lab.connect_as(&[], &json!({ "roots": { "listChanged": true } }));
    let roots = |folder: &str| {
        let uri = format!("file://{}", lab.path(folder).display());
        move |method: &str, _: &Value| {
            assert_eq!(method, "roots/list");
            json!({ "roots": [{ "uri": uri }] })
        }
    };
    let listed = call_with(&mut client, "notebook_list", &json!({}), roots("in"));
    assert_eq!(listed.text, "in/a.ipynb");
    let refused = client.call("notebook_read", &json!({ "path": "b.ipynb" }));
    assert!(refused.is_error && refused.text.contains("outside"), "{}", refused.text);
    for (folder, listed) in [(".", "b.ipynb\nin/a.ipynb"), ("../elsewhere", "no notebooks")] {
        client.send(&json!({ "jsonrpc": "2.0", "method": "notifications/roots/list_changed" }));
        let asked = client.message();
        let result = roots(folder)(asked["method"].as_str().unwrap(), &Value::Null);
        client.send(&json!({ "jsonrpc": "2.0", "id": asked["id"], "result": result }));
        assert_eq!(client.call("notebook_list", &json!({})).text, listed);
    }
}

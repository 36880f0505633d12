//! Resources of the MCP server: what there is, reading it, and being told of changes.

use serde_json::{Value, json};

use crate::serving::{Client, Served};

/// An image of 20 x 10 pixels.
const IMAGE: &str = "import struct, zlib\nfrom IPython.display import display, Image\n\
    def part(kind, data):\n    return struct.pack('>I', len(data)) + kind + data + struct.pack('>I', zlib.crc32(kind + data))\n\
    print('before')\n\
    display(Image(b'\\x89PNG\\r\\n\\x1a\\n' + part(b'IHDR', struct.pack('>IIBBBBB', 20, 10, 8, 2, 0, 0, 0))\
    + part(b'IDAT', zlib.compress((b'\\0' + b'\\7' * 60) * 10)) + part(b'IEND', b'')))";

fn read(client: &mut Client, uri: &str) -> Value {
    let answer = client.request("resources/read", &json!({ "uri": uri }));
    answer["result"]["contents"][0].clone()
}

fn uris(client: &mut Client) -> Vec<String> {
    let listed = client.request("resources/list", &json!({}));
    let resources = listed["result"]["resources"].as_array().unwrap();
    resources
        .iter()
        .map(|resource| resource["uri"].as_str().unwrap().to_owned())
        .collect()
}

/// Waits for a notification that a resource has changed.
fn wait_for_update(client: &mut Client, uri: &str) -> Value {
    loop {
        let message = client.message();
        if message["method"] == "notifications/resources/updated" && message["params"]["uri"] == uri {
            return message;
        }
    }
}

#[test]
fn notebooks_cells_outputs_kernels_and_runs_are_listed_and_read() {
    let Some(lab) = Served::new() else { return };
    let mut client = lab.connect();
    client.make(
        "some folder.ipynb",
        &["print('\\n'.join(str(i) for i in range(50)))", IMAGE],
    );
    let ran = client.call("run", &json!({ "path": "some folder.ipynb" }));
    let run = ran.structured["run_id"].as_str().unwrap();
    let notebook = "notebook:///some%20folder.ipynb";
    let expected = [notebook, "kernel:///some%20folder.ipynb", &format!("run:///{run}")];
    assert_eq!(uris(&mut client), expected);

    let outline = read(&mut client, notebook);
    assert!(outline["text"].as_str().unwrap().contains("2 cells"), "{outline}");
    let ids = lab.json("some folder.ipynb")["cells"].clone();
    let cell = |place: usize| format!("{notebook}/cells/{}", ids[place]["id"].as_str().unwrap());
    let first = read(&mut client, &cell(0));
    assert!(first["text"].as_str().unwrap().contains("range(50)"), "{first}");
    let lines = read(&mut client, &format!("{}/outputs/0?lines=10-11", cell(0)));
    assert_eq!(lines["text"], "lines 10 to 11 of 50\n9\n10");
    let kernel: Value = serde_json::from_str(read(&mut client, expected[1])["text"].as_str().unwrap()).unwrap();
    assert_eq!(
        (&kernel["state"], &kernel["language"]),
        (&json!("idle"), &json!("python"))
    );
    let told = read(&mut client, expected[2]);
    assert!(told["text"].as_str().unwrap().contains("completed"), "{told}");
    let missing = client.request("resources/read", &json!({ "uri": "notebook:///missing.ipynb" }));
    assert_eq!(missing["error"]["code"], -32002, "{missing}");
    let templates = client.request("resources/templates/list", &json!({}));
    assert_eq!(templates["result"]["resourceTemplates"].as_array().unwrap().len(), 6);
}

#[test]
fn an_image_is_linked_to_the_whole_one() {
    let Some(lab) = Served::new() else { return };
    let mut client = lab.connect_with(&["--image-limit", "8"]);
    client.make("a.ipynb", &[IMAGE]);
    let whole = |client: &mut Client, tool: &str, arguments: &Value| {
        let answer = client.request("tools/call", &json!({ "name": tool, "arguments": arguments }));
        let blocks = answer["result"]["content"].as_array().unwrap().clone();
        assert!(blocks.iter().any(|block| block["type"] == "image"), "{answer}");
        let link = blocks.iter().find(|block| block["type"] == "resource_link").unwrap();
        read(client, link["uri"].as_str().unwrap())
    };
    let of_run = whole(&mut client, "run", &json!({ "path": "a.ipynb" }));
    let saved = lab.json("a.ipynb")["cells"][0]["outputs"][1]["data"]["image/png"].clone();
    assert_eq!(
        of_run["blob"].as_str().unwrap(),
        saved.as_str().unwrap().replace('\n', "")
    );
    let of_cell = whole(
        &mut client,
        "notebook_read",
        &json!({ "path": "a.ipynb", "cells": ["#0"] }),
    );
    assert_eq!(of_cell, of_run);
    assert_eq!(of_cell["mimeType"], "image/png");
}

#[test]
fn assets_are_read_whole_and_in_ranges() {
    let Some(lab) = Served::new() else { return };
    let mut client = lab.connect();
    client.make("a.ipynb", &["for i in range(20000): print('line', i)"]);
    client.call("run", &json!({ "path": "a.ipynb" }));
    let listed = client.call("asset_list", &json!({ "path": "a.ipynb" })).text;
    let digest = listed
        .split_whitespace()
        .find(|word| word.starts_with("sha256:"))
        .unwrap();
    let uri = format!("asset:///{digest}");
    assert_eq!(
        read(&mut client, &format!("{uri}?lines=3-3"))["text"]
            .as_str()
            .unwrap()
            .lines()
            .next(),
        Some("line 2")
    );
    assert_eq!(read(&mut client, &format!("{uri}?bytes=0-5"))["text"], "line 0");
    let whole = read(&mut client, &uri)["text"].as_str().unwrap().to_owned();
    assert!(whole.len() < 10_000 && whole.starts_with("line 0\n"), "{}", whole.len());
}

#[test]
fn what_a_denied_tool_shows_is_no_resource() {
    let Some(lab) = Served::new() else { return };
    lab.notebook("a.ipynb", &["x = 1"]);
    let mut client = lab.connect_with(&["--deny-tools", "notebook_read"]);
    assert!(uris(&mut client).is_empty());
    let refused = client.request("resources/read", &json!({ "uri": "notebook:///a.ipynb" }));
    assert!(
        refused["error"]["message"].as_str().unwrap().contains("not allowed"),
        "{refused}"
    );
}

#[test]
fn a_client_is_told_when_a_resource_or_the_list_of_them_changes() {
    let Some(lab) = Served::new() else { return };
    let mut client = lab.connect();
    client.make("a.ipynb", &["x = 1"]);
    let id = lab.json("a.ipynb")["cells"][0]["id"].as_str().unwrap().to_owned();
    let uri = format!("notebook:///a.ipynb/cells/{id}");
    let subscribed = client.request("resources/subscribe", &json!({ "uri": uri }));
    assert!(subscribed["result"].is_object(), "{subscribed}");
    let mut other = lab.connect();
    let edit = json!({ "op": "replace_text", "cell": id, "old": "1", "new": "2" });
    other.call("notebook_edit", &json!({ "path": "a.ipynb", "edits": [edit] }));
    wait_for_update(&mut client, &uri);

    uris(&mut client);
    other.make("b.ipynb", &["y = 1"]);
    while client.message()["method"] != "notifications/resources/list_changed" {}
    let ended = client.request("resources/unsubscribe", &json!({ "uri": uri }));
    assert!(ended["result"].is_object(), "{ended}");
}

#[test]
fn the_newest_revision_listens_instead() {
    let Some(lab) = Served::new() else { return };
    lab.notebook("a.ipynb", &["x = 1"]);
    let mut client = lab.start_server(&[]);
    let uri = "notebook:///a.ipynb";
    let wanted = json!({ "resourcesListChanged": true, "resourceSubscriptions": [uri, "no resource"] });
    let listening = client.ask(
        "subscriptions/listen",
        &newest(&json!({}), json!({ "notifications": wanted })),
    );
    let acknowledged = client.message();
    assert_eq!(
        acknowledged["method"], "notifications/subscriptions/acknowledged",
        "{acknowledged}"
    );
    assert_eq!(
        acknowledged["params"]["notifications"]["resourceSubscriptions"],
        json!([uri])
    );
    let arguments = json!({ "path": "a.ipynb", "edits": [{ "op": "insert", "source": "y = 2" }] });
    let edit = json!({ "name": "notebook_edit", "arguments": arguments });
    client.ask("tools/call", &newest(&json!({}), edit));
    let told = wait_for_update(&mut client, uri);
    let subscription = &told["params"]["_meta"]["io.modelcontextprotocol/subscriptionId"];
    assert_eq!(*subscription, json!(listening), "{told}");
    let cancelled = json!({ "requestId": listening });
    client.send(&json!({ "jsonrpc": "2.0", "method": "notifications/cancelled", "params": cancelled }));
}

/// The parameters of a request of the revision 2026-07-28.
pub(crate) fn newest(capabilities: &Value, mut params: Value) -> Value {
    params["_meta"] = json!({
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientInfo": { "name": "test", "version": "1" },
        "io.modelcontextprotocol/clientCapabilities": capabilities,
    });
    params
}

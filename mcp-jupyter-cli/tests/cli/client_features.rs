//! The MCP server with clients that have more than tools: roots, prompts, elicitation; and its limits.

use serde_json::{Value, json};

use crate::resources::newest;
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

#[test]
fn prompts_are_filled_in_and_their_arguments_completed() {
    let Some(lab) = Served::new() else { return };
    let mut client = lab.connect();
    client.make("sales data.ipynb", &["north = 1\nsouth = 2"]);
    let listed = client.request("prompts/list", &json!({}));
    let prompts = listed["result"]["prompts"].as_array().unwrap();
    let names: Vec<&str> = prompts.iter().map(|prompt| prompt["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["analyse_data", "debug_notebook", "clean_up", "explain_plan"]);
    let wanted = json!({ "name": "debug_notebook", "arguments": { "path": "sales data.ipynb" } });
    let prompt = client.request("prompts/get", &wanted);
    let text = prompt["result"]["messages"][0]["content"]["text"].as_str().unwrap();
    assert!(text.starts_with("The notebook sales data.ipynb fails."), "{text}");
    let unknown = client.request("prompts/get", &json!({ "name": "no" }));
    assert!(
        unknown["error"]["message"].as_str().unwrap().contains("explain_plan"),
        "{unknown}"
    );

    client.call("run", &json!({ "path": "sales data.ipynb" }));
    let id = lab.json("sales data.ipynb")["cells"][0]["id"]
        .as_str()
        .unwrap()
        .to_owned();
    let prompt = json!({ "type": "ref/prompt", "name": "analyse_data" });
    let template = json!({ "type": "ref/resource", "uri": "notebook:///{+path}/cells/{cell}" });
    for (reference, name, value, expected) in [
        (&prompt, "path", "sal", "sales data.ipynb"),
        (&template, "path", "", "sales data.ipynb"),
        (&template, "cell", &id[..2], &id),
        (&prompt, "variable", "nor", "north"),
        (&prompt, "kernel", "python", "python3"),
    ] {
        let completed = client.request(
            "completion/complete",
            &json!({
                "ref": reference, "argument": { "name": name, "value": value },
                "context": { "arguments": { "path": "sales data.ipynb" } },
            }),
        );
        assert_eq!(completed["result"]["completion"]["values"][0], expected, "{completed}");
    }
}

/// A cell that says that it has begun, and goes on until a file is there.
fn until_there(path: &std::path::Path) -> String {
    format!(
        "import os, time\nprint('begun', flush=True)\nwhile not os.path.exists({:?}):\n    time.sleep(0.01)",
        path.display().to_string()
    )
}

#[test]
fn more_runs_than_allowed_are_refused_until_one_has_ended() {
    let Some(lab) = Served::new() else { return };
    let mut client = lab.connect_with(&["--max-runs", "1"]);
    let go = lab.path("go");
    client.make("a.ipynb", &[&until_there(&go)]);
    client.make("b.ipynb", &["1"]);
    let first = client.call("run", &json!({ "path": "a.ipynb", "wait_seconds": 0 }));
    let run = first.structured["run_id"].as_str().unwrap();
    let refused = client.call("run", &json!({ "path": "b.ipynb" }));
    assert!(refused.is_error && refused.text.contains(run), "{}", refused.text);
    std::fs::write(go, "").unwrap();
    client.call("run_status", &json!({ "run_id": run, "wait_seconds": 60 }));
    let ran = client.call("run", &json!({ "path": "b.ipynb" }));
    assert_eq!(ran.structured["state"], "completed", "{}", ran.text);
}

#[test]
fn a_server_that_only_reads_does_not_go_on_with_a_run_that_was_left() {
    let Some(lab) = Served::new() else { return };
    let go = lab.path("go");
    let mut client = lab.connect();
    client.make("a.ipynb", &[&until_there(&go), "print('after')"]);
    let begun = client.call("run", &json!({ "path": "a.ipynb", "wait_seconds": 0 }));
    client.kill();
    std::fs::write(go, "").unwrap();
    let mut reader = lab.connect_with(&["--read-only"]);
    let refused = reader.call("variable_list", &json!({ "path": "a.ipynb" }));
    assert!(
        refused.is_error && refused.text.contains("this server executes nothing"),
        "{}",
        refused.text
    );
    let status = reader.call(
        "run_status",
        &json!({ "run_id": begun.structured["run_id"], "wait_seconds": 1 }),
    );
    assert_eq!(status.structured["state"], "interrupted", "{}", status.text);
    drop(reader);
    assert_eq!(crate::lab::printed(&lab.json("a.ipynb"), 1), "");
    // What reads has taken nothing away: another server goes on.
    let status = lab.connect().call(
        "run_status",
        &json!({ "run_id": begun.structured["run_id"], "wait_seconds": 60 }),
    );
    assert_eq!(status.structured["state"], "completed", "{}", status.text);
    assert_eq!(crate::lab::printed(&lab.json("a.ipynb"), 1), "after\n");
}

/// Asks for a name and for a password, and keeps only what the second is made of.
const ASKING: &str = "import getpass\nname = input('name? ')\nsecret = getpass.getpass('password? ')\n\
                      print('hello', name, len(secret), secret == 'S3cr3t-' + '42')";

fn nothing_has(lab: &Served, files: &[&str], secret: &str) {
    for file in files {
        let text = lab.read(file);
        assert!(!text.is_empty() && !text.contains(secret), "{file}: {text}");
    }
}

#[test]
fn a_clients_user_answers_input_and_secrets_which_are_written_nowhere() {
    let Some(lab) = Served::new() else { return };
    let arguments = ["--audit", "audit.jsonl"];
    let mut client = lab.connect_as(&arguments, &json!({ "elicitation": {} }));
    client.make("a.ipynb", &[ASKING]);
    let mut asked = Vec::new();
    let ran = call_with(&mut client, "run", &json!({ "path": "a.ipynb" }), |method, params| {
        assert_eq!(method, "elicitation/create");
        asked.push(params["message"].as_str().unwrap().to_owned());
        assert_eq!(params["requestedSchema"]["required"], json!(["answer"]));
        let answer = if asked.len() == 1 { "Ada" } else { "S3cr3t-42" };
        json!({ "action": "accept", "content": { "answer": answer } })
    });
    assert!(asked[0].contains("a.ipynb asks for input: name? "), "{asked:?}");
    assert!(asked[1].contains("a.ipynb asks for a secret: password? "), "{asked:?}");
    assert_eq!(ran.structured["state"], "completed", "{}", ran.text);
    assert!(
        ran.text.contains("hello Ada 9 True") && !ran.text.contains("input_reply"),
        "{}",
        ran.text
    );
    nothing_has(&lab, &["a.ipynb", "audit.jsonl"], "S3cr3t-42");
}

#[test]
fn a_user_who_declines_is_not_asked_again_and_a_reply_still_answers() {
    let Some(lab) = Served::new() else { return };
    let mut client = lab.connect_as(&[], &json!({ "elicitation": { "form": {} } }));
    client.make("a.ipynb", &["print('hello', input('name? '))"]);
    let decline = |_: &str, _: &Value| json!({ "action": "decline" });
    let asking = call_with(&mut client, "run", &json!({ "path": "a.ipynb" }), decline);
    assert_eq!(asking.structured["state"], "waiting_for_input", "{}", asking.text);
    let status = client.call("run_status", &json!({ "run_id": asking.structured["run_id"] }));
    assert_eq!(status.structured["state"], "waiting_for_input", "{}", status.text);
    let reply = json!({ "input_id": asking.structured["input_id"], "answer": "Ada" });
    let answered = client.call("input_reply", &reply);
    assert!(answered.text.contains("hello Ada"), "{}", answered.text);
}

#[test]
fn the_newest_revision_is_called_again_with_the_answer() {
    let Some(lab) = Served::new() else { return };
    lab.notebook("a.ipynb", &[ASKING]);
    let mut client = lab.start_server(&["--audit", "audit.jsonl"]);
    let capabilities = json!({ "elicitation": { "form": {} } });
    let mut call = json!({ "name": "run", "arguments": { "path": "a.ipynb" } });
    for answer in ["Ada", "S3cr3t-42"] {
        let asked = client.request("tools/call", &newest(&capabilities, call.clone()));
        let result = &asked["result"];
        assert_eq!(result["resultType"], "input_required", "{asked}");
        assert_eq!(
            result["inputRequests"]["answer"]["method"], "elicitation/create",
            "{asked}"
        );
        call["requestState"] = result["requestState"].clone();
        call["inputResponses"] = json!({ "answer": { "action": "accept", "content": { "answer": answer } } });
    }
    let ran = told(&client.request("tools/call", &newest(&capabilities, call.clone())));
    assert!(ran.text.contains("hello Ada 9 True"), "{}", ran.text);
    assert_eq!(ran.structured["cells"].as_array().unwrap().len(), 1);
    nothing_has(&lab, &["a.ipynb", "audit.jsonl"], "S3cr3t-42");
    call["requestState"] = json!("forged");
    let refused = told(&client.request("tools/call", &newest(&capabilities, call)));
    assert!(
        refused.is_error && refused.text.contains("nobody asks"),
        "{}",
        refused.text
    );
}

#[test]
fn what_tools_say_of_their_structured_content_is_true() {
    let Some(lab) = Served::new() else { return };
    let mut client = lab.connect();
    let listed = client.request("tools/list", &json!({}));
    let tools = listed["result"]["tools"].as_array().unwrap().clone();
    client.make("a.ipynb", &["x = 1", "input('? ')"]);
    let mut pairs = Vec::new();
    let mut check = |tool: &str, arguments: Value| {
        let told = client.call(tool, &arguments);
        let described = tools.iter().find(|described| described["name"] == tool).unwrap();
        let mut schema = described["outputSchema"].clone();
        // What it does not say is not there.
        schema["additionalProperties"] = json!(false);
        assert!(told.structured.is_object(), "{tool}: {}", told.text);
        pairs.push(json!([schema, told.structured]));
        told.structured
    };
    let edit = json!([{ "op": "insert", "source": "y = x", "at": "first" }]);
    check(
        "notebook_edit",
        json!({ "path": "a.ipynb", "edits": edit, "propose": true }),
    );
    check("notebook_edit", json!({ "path": "a.ipynb", "edits": edit }));
    check("plan", json!({ "path": "a.ipynb" }));
    let failed = check(
        "edit_and_run",
        json!({ "path": "a.ipynb", "source": "1 / 0", "at": "first", "id": "bad" }),
    );
    check("run_status", json!({ "run_id": failed["run_id"] }));
    check("execute_code", json!({ "path": "a.ipynb", "code": "2" }));
    let raw = json!({ "op": "set_type", "cell": "bad", "cell_type": "raw" });
    check("notebook_edit", json!({ "path": "a.ipynb", "edits": [raw] }));
    let failed = check("run", json!({ "path": "a.ipynb" }));
    assert_eq!(failed["state"], "failed", "y = x is above x = 1");
    let edits = json!([{ "op": "move", "cell": failed["cells"][0]["id"], "at": "last" }]);
    check("notebook_edit", json!({ "path": "a.ipynb", "edits": edits }));
    let asking = check("run", json!({ "path": "a.ipynb", "on_error": "continue" }));
    assert_eq!(asking["state"], "waiting_for_input");
    check("input_reply", json!({ "input_id": asking["input_id"], "answer": "" }));
    check("run_cancel", json!({ "run_id": asking["run_id"] }));
    drop(client);
    // A server that did not execute it knows less of the run.
    let told = lab.connect().call("run_status", &json!({ "run_id": asking["run_id"] }));
    pairs.push(json!([pairs[4][0], told.structured]));

    lab.write("pairs.json", &json!(pairs).to_string());
    let code = "import json, jsonschema\nfor schema, value in json.load(open('pairs.json')):\n    jsonschema.validate(value, schema)";
    let done = lab.python_command(&["-c", code]).output().unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
}

#[test]
fn variables_are_looked_at_while_a_cell_is_executing_and_nothing_of_its_output_is_lost() {
    let Some(lab) = Served::new() else { return };
    let mut client = lab.connect();
    let go = lab.path("go");
    let code = format!(
        "import os, time\nlines = 0\nwhile not os.path.exists({:?}):\n    print('line', lines, flush=True)\n    lines += 1\n    \
         time.sleep(0.002)\nprint('end', lines)",
        go.display().to_string()
    );
    client.make("a.ipynb", &["known = [1, 2, 3]", &code, "after = 1"]);
    let begun = client.call("run", &json!({ "path": "a.ipynb", "wait_seconds": 0 }));
    assert!(!begun.is_error, "{}", begun.text);
    let status = json!({ "run_id": begun.structured["run_id"] });
    while !client.call("run_status", &status).text.contains("line 0") {}
    let mut lines = -1;
    for _ in 0..3 {
        let known = client.call("variable_inspect", &json!({ "path": "a.ipynb", "name": "known" }));
        assert!(known.text.contains("[1, 2, 3]"), "{}", known.text);
        let listed = client
            .call("variable_list", &json!({ "path": "a.ipynb", "pattern": "lines" }))
            .text;
        let now: i64 = listed.rsplit(' ').next().unwrap().parse().unwrap();
        assert!(now > lines, "{listed}");
        lines = now;
    }
    let status = client.call("run_status", &json!({ "run_id": begun.structured["run_id"] }));
    assert_eq!(status.structured["state"], "running", "{}", status.text);
    std::fs::write(go, "").unwrap();
    let ended = client.call(
        "run_status",
        &json!({ "run_id": begun.structured["run_id"], "wait_seconds": 60 }),
    );
    assert_eq!(ended.structured["state"], "completed", "{}", ended.text);
    let printed = crate::lab::printed(&lab.json("a.ipynb"), 1);
    let count: usize = printed.trim_end().rsplit(' ').next().unwrap().parse().unwrap();
    let expected: Vec<String> = (0..count).map(|line| format!("line {line}\n")).collect();
    assert_eq!(printed, format!("{}end {count}\n", expected.concat()));
}

/// Proposes another source for the only cell of `a.ipynb`.
fn proposal() -> Value {
    let edit = json!({ "op": "replace_text", "cell": "cell-0", "old": "1", "new": "2" });
    json!({ "path": "a.ipynb", "edits": [edit], "propose": true })
}

#[test]
fn a_clients_user_decides_about_a_proposal_at_once() {
    let Some(lab) = Served::new() else { return };
    lab.notebook("a.ipynb", &["x = 1"]);
    let mut client = lab.connect_as(&[], &json!({ "elicitation": {} }));
    for (reply, said, source, open) in [
        (json!({ "action": "cancel" }), "proposals accept", "x = 1", 1),
        (json!({ "action": "decline" }), "has rejected", "x = 1", 1),
        (
            json!({ "action": "accept", "content": { "accept": true } }),
            "has accepted",
            "x = 2",
            1,
        ),
    ] {
        let told = call_with(&mut client, "notebook_edit", &proposal(), |method, params| {
            assert_eq!(method, "elicitation/create");
            assert!(params["message"].as_str().unwrap().contains("+x = 2"), "{params}");
            reply.clone()
        });
        assert!(!told.is_error && told.text.contains(said), "{}", told.text);
        assert!(lab.read("a.ipynb").contains(source), "{said}");
        let listed: Vec<Value> = serde_json::from_str(&lab.run(&["proposals", "list", "--json"]).stdout).unwrap();
        assert_eq!(listed.len(), open);
    }
}

#[test]
fn the_newest_revision_is_called_again_with_the_decision() {
    let Some(lab) = Served::new() else { return };
    lab.notebook("a.ipynb", &["x = 1"]);
    let mut client = lab.start_server(&[]);
    let capabilities = json!({ "elicitation": { "form": {} } });
    let mut call = json!({ "name": "notebook_edit", "arguments": proposal() });
    let asked = client.request("tools/call", &newest(&capabilities, call.clone()));
    assert_eq!(asked["result"]["resultType"], "input_required", "{asked}");
    call["requestState"] = asked["result"]["requestState"].clone();
    call["inputResponses"] = json!({ "accept": { "action": "accept", "content": { "accept": true } } });
    let told = told(&client.request("tools/call", &newest(&capabilities, call)));
    assert!(told.text.contains("has accepted"), "{}", told.text);
    assert_eq!(lab.json("a.ipynb")["cells"][0]["source"], json!(["x = 2"]));
}

//! The MCP server, as a client sees it over standard input and output.

use std::io::{BufRead, BufReader, Write};
use std::ops::Deref;
use std::process::{Child, ChildStdin, ChildStdout, Stdio};

use serde_json::{Value, json};

use crate::lab::Lab;

/// A folder that a server may use, and whose kernels end with it.
pub(crate) struct Served(Lab);

impl Served {
    pub(crate) fn new() -> Option<Self> {
        Lab::new().map(Self)
    }

    pub(crate) fn connect(&self) -> Client {
        self.connect_with(&[])
    }

    pub(crate) fn connect_with(&self, arguments: &[&str]) -> Client {
        self.connect_as(arguments, &json!({}))
    }

    /// A connection of a client that has these capabilities.
    pub(crate) fn connect_as(&self, arguments: &[&str], capabilities: &Value) -> Client {
        let mut client = self.start_server(arguments);
        let wanted = json!({
            "protocolVersion": "2025-11-25", "capabilities": capabilities,
            "clientInfo": { "name": "test", "version": "1" },
        });
        let answer = client.request("initialize", &wanted);
        assert_eq!(answer["result"]["serverInfo"]["name"], "mcp-server-jupyter");
        client.send(&json!({ "jsonrpc": "2.0", "method": "notifications/initialized" }));
        client
    }

    /// A server to which nothing was said yet.
    pub(crate) fn start_server(&self, arguments: &[&str]) -> Client {
        let mut command = self.command(&["serve"]);
        let mut server = command
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        Client {
            to: server.stdin.take(),
            from: BufReader::new(server.stdout.take().unwrap()),
            server,
            next: 0,
        }
    }
}

impl Deref for Served {
    type Target = Lab;

    fn deref(&self) -> &Lab {
        &self.0
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let listed = self.run(&["sessions", "list", "--json"]);
        let sessions: Vec<Value> = serde_json::from_str(&listed.stdout).unwrap_or_default();
        for session in sessions {
            self.run(&["stop", session["id"].as_str().unwrap_or_default()]);
        }
    }
}

/// A connection to a server, which ends with it.
pub(crate) struct Client {
    server: Child,
    to: Option<ChildStdin>,
    from: BufReader<ChildStdout>,
    next: u64,
}

/// What a tool has answered.
pub(crate) struct Told {
    pub(crate) text: String,
    pub(crate) structured: Value,
    pub(crate) is_error: bool,
}

impl Client {
    pub(crate) fn send(&mut self, message: &Value) {
        self.send_line(&message.to_string());
    }

    fn send_line(&mut self, line: &str) {
        writeln!(self.to.as_mut().unwrap(), "{line}").unwrap();
    }

    pub(crate) fn ask(&mut self, method: &str, params: &Value) -> u64 {
        self.next += 1;
        self.send(&json!({ "jsonrpc": "2.0", "id": self.next, "method": method, "params": params }));
        self.next
    }

    /// The answer to a request; notifications before it are passed over, and all that comes is the protocol's.
    pub(crate) fn answer(&mut self, id: u64) -> Value {
        loop {
            let message = self.message();
            if message["id"] == id {
                return message;
            }
        }
    }

    pub(crate) fn message(&mut self) -> Value {
        let mut line = String::new();
        self.from.read_line(&mut line).unwrap();
        serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line:?}"))
    }

    pub(crate) fn request(&mut self, method: &str, params: &Value) -> Value {
        let id = self.ask(method, params);
        self.answer(id)
    }

    pub(crate) fn call(&mut self, tool: &str, arguments: &Value) -> Told {
        let answer = self.request("tools/call", &json!({ "name": tool, "arguments": arguments }));
        told(&answer)
    }

    pub(crate) fn make(&mut self, path: &str, sources: &[&str]) {
        let cells: Vec<Value> = sources.iter().map(|source| json!({ "source": source })).collect();
        let made = self.call("notebook_create", &json!({ "path": path, "cells": cells }));
        assert!(!made.is_error, "{}", made.text);
    }

    pub(crate) fn kill(mut self) {
        self.server.kill().unwrap();
        self.server.wait().unwrap();
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        // The end of its input ends a server.
        self.to = None;
        let _ = self.server.wait();
    }
}

pub(crate) fn told(answer: &Value) -> Told {
    let result = &answer["result"];
    let blocks = result["content"]
        .as_array()
        .unwrap_or_else(|| panic!("no result: {answer}"));
    let texts = blocks.iter().filter_map(|block| block["text"].as_str());
    Told {
        text: texts.collect::<Vec<_>>().join("\n"),
        structured: result["structuredContent"].clone(),
        is_error: result["isError"] == true,
    }
}

/// The digest of a cell's source, as it is shown behind the cell's id.
fn digest(text: &str, id: &str) -> String {
    let line = text.lines().find(|line| line.contains(id)).unwrap();
    line.split(['[', ']']).nth(1).unwrap().to_owned()
}

#[test]
fn the_tools_are_few_and_say_what_they_do_to_the_world() {
    let Some(lab) = Served::new() else { return };
    let answer = lab.connect().request("tools/list", &json!({}));
    let tools = answer["result"]["tools"].as_array().unwrap();
    assert!(tools.len() <= 30);
    assert!(tools.iter().all(|tool| tool["annotations"].is_object()));
    assert!(answer["result"].to_string().len() < 24_000);
    let described = tools.iter().filter(|tool| tool["outputSchema"].is_object());
    assert_eq!(described.count(), 8);
    let answer = lab
        .connect_with(&["--no-output-schemas"])
        .request("tools/list", &json!({}));
    let length = answer["result"].to_string().len();
    assert!(length < 14_000, "{length}");
    assert!(!answer.to_string().contains("outputSchema"));
}

#[test]
fn a_notebook_is_made_filled_run_failed_mended_and_run_again() {
    let Some(lab) = Served::new() else { return };
    let mut client = lab.connect();
    client.make("a.ipynb", &["x = 6", "y = x * 7\nprint(y)"]);
    let ran = client.call("run", &json!({ "path": "a.ipynb" }));
    assert_eq!(ran.structured["state"], "completed", "{}", ran.text);
    assert!(ran.text.contains("42"), "{}", ran.text);
    assert!(!ran.structured.to_string().contains("42\\n"));

    let new = json!({ "path": "a.ipynb", "source": "1 / (x - 6)", "id": "bad" });
    let failed = client.call("edit_and_run", &new);
    assert!(failed.is_error);
    assert!(
        failed.text.contains("ZeroDivisionError: division by zero"),
        "{}",
        failed.text
    );
    assert!(!failed.text.contains('\u{1b}'), "{}", failed.text);

    let edit = json!({ "op": "replace_text", "cell": "bad", "old": "x - 6", "new": "x - 5" });
    let edited = client.call("notebook_edit", &json!({ "path": "a.ipynb", "edits": [edit] }));
    assert_eq!(edited.structured["stale"], json!(["bad"]), "{}", edited.text);
    let again = client.call("run", &json!({ "path": "a.ipynb" }));
    assert_eq!(again.structured["cells"].as_array().unwrap().len(), 1);
    assert_eq!(
        lab.json("a.ipynb")["cells"][2]["outputs"][0]["data"]["text/plain"],
        json!(["1.0"])
    );

    let looked = client.call("variable_list", &json!({ "path": "a.ipynb" }));
    assert!(
        looked.text.contains("y: int") && looked.text.contains("= 42"),
        "{}",
        looked.text
    );
}

#[test]
fn scratch_code_is_undone_by_the_next_run() {
    let Some(lab) = Served::new() else { return };
    let mut client = lab.connect();
    client.make("a.ipynb", &["x = [1]", "print(x)"]);
    client.call("run", &json!({ "path": "a.ipynb" }));
    let scratch = json!({ "path": "a.ipynb", "code": "x.append(2); z = 3; x" });
    let scratched = client.call("execute_code", &scratch);
    assert!(scratched.text.contains("[1, 2]"), "{}", scratched.text);
    assert_eq!(lab.json("a.ipynb")["cells"].as_array().unwrap().len(), 2);
    let ran = client.call("run", &json!({ "path": "a.ipynb" }));
    assert_eq!(ran.structured["state"], "completed");
    let looked = client.call(
        "execute_code",
        &json!({ "path": "a.ipynb", "code": "(x, 'z' in globals())" }),
    );
    assert!(looked.text.contains("([1], False)"), "{}", looked.text);
}

#[test]
fn an_edit_of_what_has_changed_is_refused_with_the_present_text() {
    let Some(lab) = Served::new() else { return };
    let (mut one, mut other) = (lab.connect(), lab.connect());
    one.make("a.ipynb", &["x = 1"]);
    let seen = one.call("notebook_read", &json!({ "path": "a.ipynb" })).text;
    let id = lab.json("a.ipynb")["cells"][0]["id"].as_str().unwrap().to_owned();
    let replace = |source: &str| {
        let edit = json!({ "op": "replace_source", "cell": id, "digest": digest(&seen, &id), "source": source });
        json!({ "path": "a.ipynb", "edits": [edit] })
    };
    assert!(!other.call("notebook_edit", &replace("x = 2")).is_error);
    let refused = one.call("notebook_edit", &replace("x = 3"));
    assert!(refused.is_error && refused.text.contains("x = 2"), "{}", refused.text);
    assert_eq!(lab.json("a.ipynb")["cells"][0]["source"], json!(["x = 2"]));
    let by_place = json!({ "op": "delete", "cell": "#0", "digest": digest(&seen, &id) });
    let refused = one.call("notebook_edit", &json!({ "path": "a.ipynb", "edits": [by_place] }));
    assert!(refused.is_error && refused.text.contains(&id), "{}", refused.text);
}

#[test]
fn a_run_goes_on_when_its_server_is_killed() {
    let Some(lab) = Served::new() else { return };
    let mut client = lab.connect();
    let go = lab.path("go");
    let code = format!(
        "import os, time\nprint('begun', flush=True)\nwhile not os.path.exists({:?}):\n    time.sleep(0.01)\n\
         for i in range(300):\n    print('line', i)",
        go.display().to_string()
    );
    client.make("a.ipynb", &[&code, "print('after')"]);
    let id = client.ask(
        "tools/call",
        &json!({ "name": "run", "arguments": { "path": "a.ipynb", "wait_seconds": 1 } }),
    );
    let running = told(&client.answer(id));
    assert_eq!(running.structured["state"], "running", "{}", running.text);
    let run = running.structured["run_id"].clone();
    client.kill();

    let mut client = lab.connect();
    let busy = client.call("run", &json!({ "path": "a.ipynb", "wait_seconds": 0.2 }));
    assert!(
        busy.is_error && busy.text.contains(run.as_str().unwrap()),
        "{}",
        busy.text
    );
    std::fs::write(go, "").unwrap();
    let ended = client.call("run_status", &json!({ "run_id": run, "wait_seconds": 60 }));
    assert_eq!(ended.structured["state"], "completed", "{}", ended.text);
    let notebook = lab.json("a.ipynb");
    let printed = |cell: usize| crate::lab::printed(&notebook, cell);
    let lines = (0..300).map(|line| format!("line {line}\n"));
    let lines = lines.collect::<Vec<_>>().concat();
    assert_eq!(printed(0), format!("begun\n{lines}"));
    assert_eq!(printed(1), "after\n");
}

#[test]
fn input_is_asked_for_and_given() {
    let Some(lab) = Served::new() else { return };
    let mut client = lab.connect();
    client.make("a.ipynb", &["n = input('name? ')\nprint('hello', n)"]);
    let asking = client.call("run", &json!({ "path": "a.ipynb" }));
    assert_eq!(asking.structured["state"], "waiting_for_input", "{}", asking.text);
    assert!(asking.text.contains("name? "), "{}", asking.text);
    let reply = json!({ "input_id": asking.structured["input_id"], "answer": "Ada" });
    let answered = client.call("input_reply", &reply);
    assert!(answered.text.contains("hello Ada"), "{}", answered.text);
    assert!(client.call("input_reply", &reply).is_error);
}

#[test]
fn a_loop_is_cancelled_and_the_end_of_a_wait_is_not() {
    let Some(lab) = Served::new() else { return };
    let mut client = lab.connect();
    client.make(
        "a.ipynb",
        &["import time\nprint('begun', flush=True)\nwhile True:\n    time.sleep(0.01)"],
    );
    let running = client.call("run", &json!({ "path": "a.ipynb", "wait_seconds": 0 }));
    let run = running.structured["run_id"].clone();
    assert!(!running.is_error, "{}", running.text);
    loop {
        let status = client.call("run_status", &json!({ "run_id": run }));
        assert_eq!(status.structured["state"], "running", "{}", status.text);
        if status.text.contains("begun") {
            break;
        }
    }
    let waiting = json!({ "name": "run_status", "arguments": { "run_id": run, "wait_seconds": 60 } });
    let id = client.ask("tools/call", &waiting);
    let cancelled = json!({ "requestId": id });
    client.send(&json!({ "jsonrpc": "2.0", "method": "notifications/cancelled", "params": cancelled }));
    let status = client.call("run_status", &json!({ "run_id": run }));
    assert_eq!(status.structured["state"], "running", "{}", status.text);
    let stopped = client.call("run_cancel", &json!({ "run_id": run }));
    assert_eq!(stopped.structured["state"], "cancelled", "{}", stopped.text);
}

#[test]
fn a_run_that_is_cancelled_before_its_first_cell_has_not_failed() {
    let Some(lab) = Served::new() else { return };
    let mut client = lab.connect();
    client.make("a.ipynb", &["x = 1"]);
    client.call("run", &json!({ "path": "a.ipynb" }));
    for x in 2..12 {
        let cells = lab.json("a.ipynb");
        let edit = json!({
            "op": "replace_text", "cell": cells["cells"][0]["id"],
            "old": format!("x = {}", x - 1), "new": format!("x = {x}"),
        });
        client.call("notebook_edit", &json!({ "path": "a.ipynb", "edits": [edit] }));
        let begun = client.call("run", &json!({ "path": "a.ipynb", "wait_seconds": 0 }));
        let cancelled = client.call("run_cancel", &json!({ "run_id": begun.structured["run_id"] }));
        let state = cancelled.structured["state"].as_str().unwrap();
        assert!(matches!(state, "cancelled" | "completed"), "{}", cancelled.text);
    }
}

#[test]
fn a_kernel_that_died_unseen_is_told_of_by_whatever_is_called_first() {
    let Some(lab) = Served::new() else { return };
    let mut client = lab.connect();
    client.make("a.ipynb", &["import os\nprint(os.getpid())"]);
    for (tool, arguments) in [
        ("notebook_read", json!({ "path": "a.ipynb" })),
        ("variable_list", json!({ "path": "a.ipynb" })),
    ] {
        client.call("run", &json!({ "path": "a.ipynb", "mode": "full" }));
        let pid = crate::lab::printed(&lab.json("a.ipynb"), 0).trim().parse().unwrap();
        nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), nix::sys::signal::Signal::SIGKILL).unwrap();
        while !client.call("kernel_list", &json!({})).text.contains("none") {}
        let told = client.call(tool, &arguments);
        assert!(told.text.contains("a.ipynb ended by signal 9"), "{tool}: {}", told.text);
    }
}

#[test]
fn the_death_of_a_kernel_is_told_and_never_made_good_in_silence() {
    let Some(lab) = Served::new() else { return };
    let mut client = lab.connect();
    client.make("a.ipynb", &["x = 1"]);
    client.call("run", &json!({ "path": "a.ipynb" }));
    let died = client.call(
        "execute_code",
        &json!({ "path": "a.ipynb", "code": "import os; os._exit(3)" }),
    );
    assert_eq!(died.structured["state"], "kernel_died", "{}", died.text);
    let told = client.call("execute_code", &json!({ "path": "a.ipynb", "code": "x" }));
    assert!(
        told.is_error && told.text.contains("a.ipynb ended with exit code 3"),
        "{}",
        told.text
    );
    let fresh = client.call("run", &json!({ "path": "a.ipynb" }));
    assert!(fresh.text.contains("a new kernel was started"), "{}", fresh.text);
}

#[test]
fn what_is_not_allowed_is_refused() {
    let Some(lab) = Served::new() else { return };
    lab.notebook("in/a.ipynb", &["x = 1"]);
    lab.notebook("out/b.ipynb", &["x = 1"]);
    std::os::unix::fs::symlink("../out", lab.path("in/link")).unwrap();
    let mut client = lab.connect_with(&["--root", "in", "--read-only"]);
    assert!(!client.call("notebook_read", &json!({ "path": "a.ipynb" })).is_error);
    for path in ["../out/b.ipynb", "link/b.ipynb", "/etc/hostname", "", "x\u{0}y"] {
        assert!(
            client.call("notebook_read", &json!({ "path": path })).is_error,
            "{path:?}"
        );
    }
    for tool in ["run", "notebook_edit", "execute_code", "package_install"] {
        let refused = client.call(tool, &json!({ "path": "a.ipynb" }));
        assert!(
            refused.is_error && refused.text.contains("not allowed"),
            "{}",
            refused.text
        );
    }
    let whole = lab.run(&["serve", "--root", "/"]);
    assert_eq!(whole.code, 2);
    assert!(whole.stderr.contains("whole file system"), "{}", whole.stderr);
}

#[test]
fn a_server_outlives_whatever_it_is_sent() {
    let Some(lab) = Served::new() else { return };
    let mut client = lab.connect();
    client.send_line("{ this is no JSON");
    assert_eq!(client.message()["error"]["code"], -32700);
    client.send_line("[1, 2]");
    assert_eq!(client.message()["error"]["code"], -32600);
    client.send(&json!({ "jsonrpc": "2.0", "id": "x", "method": "no/such/method" }));
    let unknown = client.message();
    assert_eq!(
        (&unknown["id"], &unknown["error"]["code"]),
        (&json!("x"), &json!(-32601))
    );
    let large = "a".repeat(100_000_000);
    let large = client.ask(
        "tools/call",
        &json!({ "name": "server_info", "arguments": { "x": large } }),
    );
    let large = client.answer(large)["error"]["message"].to_string();
    assert!(large.contains("16 MiB"), "{large}");
    let nameless = client.request("tools/call", &json!({ "arguments": {} }));
    assert_eq!(nameless["error"]["code"], -32602);
    let many: Vec<u64> = (0..1000)
        .map(|_| client.ask("tools/call", &json!({ "name": "server_info", "arguments": {} })))
        .collect();
    let mut answered = std::collections::BTreeSet::new();
    while answered.len() < many.len() {
        answered.extend(client.message()["id"].as_u64());
    }
    assert!(many.iter().all(|id| answered.contains(id)));
    let unknown = client.request("tools/call", &json!({ "name": "no_such_tool", "arguments": {} }));
    assert!(unknown["error"]["message"].as_str().unwrap().contains("no_such_tool"));
    let wrong = client.call("run", &json!({ "path": "a.ipynb", "wiat": 3 }));
    assert!(wrong.is_error && wrong.text.contains("wiat"), "{}", wrong.text);
}

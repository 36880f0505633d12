//! The MCP server, as clients see it over HTTP.

use std::net::SocketAddr;

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::signal::Signal;
use serde_json::{Value, json};

use crate::lab::Running;
use crate::serving::{Served, Told, told};
use crate::web::{Response, Sent};

/// A server that listens.
struct Listening {
    running: Running,
    address: SocketAddr,
    token: String,
}

impl Listening {
    fn new(lab: &Served, arguments: &[&str]) -> Self {
        let mut all = vec!["serve", "--http", "127.0.0.1:0"];
        all.extend_from_slice(arguments);
        let mut running = lab.start(&all);
        let line = running.stderr_line();
        let (url, token) = line.trim().split_once(" with the token ").unwrap_or((line.trim(), ""));
        let address = url
            .strip_prefix("listening on http://")
            .and_then(|url| url.strip_suffix("/mcp"));
        Self {
            address: address.unwrap_or_else(|| panic!("{line:?}")).parse().unwrap(),
            token: token.to_owned(),
            running,
        }
    }

    fn send(&self, headers: &[(&str, &str)], body: &[u8]) -> Sent {
        let bearer = format!("Bearer {}", self.token);
        let mut all = vec![
            ("Authorization", bearer.as_str()),
            ("Content-Type", "application/json"),
            ("Accept", "application/json, text/event-stream"),
        ];
        all.retain(|(name, _)| !headers.iter().any(|(other, _)| other == name));
        all.extend_from_slice(headers);
        Sent::new(self.address, "POST", "/mcp", &all, body)
    }

    fn post(&self, headers: &[(&str, &str)], body: &[u8]) -> Response {
        self.send(headers, body).response()
    }

    fn client(&self) -> Client<'_> {
        let wanted = json!({
            "protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": { "name": "test", "version": "1" },
        });
        let answered = self.post(&[], request(1, "initialize", &wanted).as_bytes());
        let session = answered.header("mcp-session-id").unwrap().to_owned();
        let client = Client { server: self, session };
        let done = json!({ "jsonrpc": "2.0", "method": "notifications/initialized" }).to_string();
        assert_eq!(client.send(&done).response().status, 202);
        client
    }
}

/// A session with a server.
struct Client<'a> {
    server: &'a Listening,
    session: String,
}

impl Client<'_> {
    fn headers(&self) -> [(&str, &str); 2] {
        [
            ("Mcp-Session-Id", &self.session),
            ("MCP-Protocol-Version", "2025-11-25"),
        ]
    }

    fn send(&self, message: &str) -> Sent {
        self.server.send(&self.headers(), message.as_bytes())
    }

    fn call(&self, tool: &str, arguments: &Value) -> Told {
        told(&self.send(&call(tool, arguments)).response().answer())
    }
}

fn request(id: u64, method: &str, params: &Value) -> String {
    json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params }).to_string()
}

fn call(tool: &str, arguments: &Value) -> String {
    request(2, "tools/call", &json!({ "name": tool, "arguments": arguments }))
}

/// A call that needs no session, as the newest revision has it.
fn call_without_session(tool: &str, arguments: &Value) -> String {
    let meta = json!({
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientInfo": { "name": "test", "version": "1" },
        "io.modelcontextprotocol/clientCapabilities": {},
    });
    request(
        7,
        "tools/call",
        &json!({ "name": tool, "arguments": arguments, "_meta": meta }),
    )
}

fn headers_without_session(tool: &str) -> [(&'static str, &str); 3] {
    [
        ("MCP-Protocol-Version", "2026-07-28"),
        ("Mcp-Method", "tools/call"),
        ("Mcp-Name", tool),
    ]
}

const LOOP: &str = "import time\nprint('begun', flush=True)\nwhile True:\n    time.sleep(0.01)";

#[test]
fn clients_share_the_notebooks_and_runs_of_a_server() {
    let Some(lab) = Served::new() else { return };
    let server = Listening::new(&lab, &[]);
    let (one, other) = (server.client(), server.client());
    assert_ne!(one.session, other.session);
    let made = json!({ "path": "a.ipynb", "cells": [{ "source": "print(6 * 7)" }] });
    assert!(!one.call("notebook_create", &made).is_error);
    let ran = one.call("run", &json!({ "path": "a.ipynb" }));
    assert_eq!(ran.structured["state"], "completed", "{}", ran.text);

    let seen = other.call("run_status", &json!({ "run_id": ran.structured["run_id"] }));
    assert!(seen.text.contains("42"), "{}", seen.text);
    let code = json!({ "path": "a.ipynb", "code": "6 * 8" });
    let alone = server.post(
        &headers_without_session("execute_code"),
        call_without_session("execute_code", &code).as_bytes(),
    );
    assert!(alone.header("mcp-session-id").is_none());
    let alone = told(&alone.answer());
    assert!(alone.text.contains("48"), "{}", alone.text);
}

#[test]
fn images_are_so_small_that_clients_take_them() {
    let Some(lab) = Served::new() else { return };
    let server = Listening::new(&lab, &["--assets", "none"]);
    let client = server.client();
    // Noise, which no format makes smaller.
    let source = "import os, struct, zlib\nfrom IPython.display import Image, display\n\
                  chunk = lambda kind, data: struct.pack('>I', len(data)) + kind + data + \
                  struct.pack('>I', zlib.crc32(kind + data))\n\
                  rows = b''.join(b'\\0' + os.urandom(1800) for _ in range(600))\n\
                  png = b'\\x89PNG\\r\\n\\x1a\\n' + chunk(b'IHDR', struct.pack('>IIBBBBB', 600, 600, 8, 2, 0, 0, 0)) \
                  + chunk(b'IDAT', zlib.compress(rows)) + chunk(b'IEND', b'')\n\
                  display(Image(png))";
    let made = json!({ "path": "a.ipynb", "cells": [{ "source": source }] });
    assert!(!client.call("notebook_create", &made).is_error);
    let ran = client.send(&call("run", &json!({ "path": "a.ipynb" }))).response();
    assert!(ran.body.lines().all(|line| line.len() < 1 << 20));
    let answer = ran.answer();
    let blocks = answer["result"]["content"].as_array().unwrap();
    assert!(blocks.iter().any(|block| block["mimeType"] == "image/png"), "{answer}");
    let told = told(&answer);
    assert!(
        told.text.contains("image of 600 x 600 pixels, shown at"),
        "{}",
        told.text
    );
}

#[test]
fn new_output_is_told_while_a_call_waits() {
    let Some(lab) = Served::new() else { return };
    let server = Listening::new(&lab, &[]);
    let client = server.client();
    let go = lab.path("go").display().to_string();
    let source = format!(
        "import os, time\nprint('first', flush=True)\nwhile not os.path.exists({go:?}):\n    time.sleep(0.01)\nprint('last')"
    );
    let made = json!({ "path": "a.ipynb", "cells": [{ "source": source }] });
    assert!(!client.call("notebook_create", &made).is_error);
    let params = json!({
        "name": "run", "arguments": { "path": "a.ipynb", "wait_seconds": 60 }, "_meta": { "progressToken": "p" },
    });
    let mut sent = client.send(&request(3, "tools/call", &params));
    let told = sent.read_until("first");
    assert!(told.contains("notifications/progress"), "{told}");
    std::fs::write(go, "").unwrap();
    let rest = sent.read_until("\"id\":3");
    assert!(rest.contains("completed"), "{rest}");
}

#[test]
fn a_broken_stream_is_taken_up_where_it_broke() {
    let Some(lab) = Served::new() else { return };
    let server = Listening::new(&lab, &[]);
    let client = server.client();
    let go = lab.path("go").display().to_string();
    let source = format!("import os, time\nwhile not os.path.exists({go:?}):\n    time.sleep(0.01)\nprint(6 * 7)");
    let made = json!({ "path": "a.ipynb", "cells": [{ "source": source }] });
    assert!(!client.call("notebook_create", &made).is_error);
    let mut sent = client.send(&call("run", &json!({ "path": "a.ipynb", "wait_seconds": 60 })));
    let begun = sent.read_until("\nretry:");
    let event = begun.lines().find_map(|line| line.strip_prefix("id: ")).unwrap();
    drop(sent);
    std::fs::write(go, "").unwrap();

    let bearer = format!("Bearer {}", server.token);
    let headers = [
        ("Authorization", bearer.as_str()),
        ("Accept", "text/event-stream"),
        ("Last-Event-ID", event),
        ("Mcp-Session-Id", &client.session),
    ];
    let answer = Sent::new(server.address, "GET", "/mcp", &headers, b"").read_until("\"id\":2");
    assert!(answer.contains("42"), "{answer}");
}

#[test]
fn cancelling_a_request_ends_the_wait_and_not_the_run() {
    let Some(lab) = Served::new() else { return };
    let server = Listening::new(&lab, &[]);
    let client = server.client();
    let made = json!({ "path": "a.ipynb", "cells": [{ "source": LOOP }] });
    assert!(!client.call("notebook_create", &made).is_error);
    let running = client.call("run", &json!({ "path": "a.ipynb", "wait_seconds": 0 }));
    let run = running.structured["run_id"].clone();
    let wait = json!({
        "name": "run_status", "arguments": { "run_id": run, "wait_seconds": 600 }, "_meta": { "progressToken": 1 },
    });
    let mut waiting = client.send(&request(9, "tools/call", &wait));
    waiting.read_until("begun");
    let cancelled = json!({
        "jsonrpc": "2.0", "method": "notifications/cancelled", "params": { "requestId": 9, "reason": "enough" },
    });
    assert_eq!(client.send(&cancelled.to_string()).response().status, 202);
    waiting.read_to_end();
    let status = client.call("run_status", &json!({ "run_id": run }));
    assert_eq!(status.structured["state"], "running", "{}", status.text);
    let ended = client.call("run_cancel", &json!({ "run_id": run }));
    assert!(ended.text.contains("cancelled"), "{}", ended.text);
}

/// Requests of a client of the newest revision that has tasks, and a user.
fn ask_as_task(server: &Listening, method: &str, name: &str, params: &Value) -> Value {
    let mut params = params.clone();
    params["_meta"] = json!({
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientCapabilities": {
            "elicitation": {}, "extensions": { "io.modelcontextprotocol/tasks": {} },
        },
    });
    let headers = [
        ("MCP-Protocol-Version", "2026-07-28"),
        ("Mcp-Method", method),
        ("Mcp-Name", name),
    ];
    server.post(&headers, request(1, method, &params).as_bytes()).answer()
}

/// Asks for a task until it is no longer in this state.
fn task_after(server: &Listening, id: &str, state: &str) -> Value {
    loop {
        let task = ask_as_task(server, "tasks/get", id, &json!({ "taskId": id }))["result"].clone();
        if task["status"] != state {
            return task;
        }
    }
}

#[test]
fn a_run_that_goes_on_is_a_task_to_a_client_that_has_them() {
    let Some(lab) = Served::new() else { return };
    let server = Listening::new(&lab, &[]);
    let client = server.client();
    let source = format!(
        "n = input('name? ')\nprint('hello', n)\nif n == 'Eve':\n    {}",
        LOOP.replace('\n', "\n    ")
    );
    let made = json!({ "path": "a.ipynb", "cells": [{ "source": source }] });
    assert!(!client.call("notebook_create", &made).is_error);
    let run = |mode: &str| {
        let arguments = json!({ "path": "a.ipynb", "wait_seconds": 0, "mode": mode });
        let made = ask_as_task(
            &server,
            "tools/call",
            "run",
            &json!({ "name": "run", "arguments": arguments }),
        );
        assert_eq!(made["result"]["resultType"], "task", "{made}");
        made["result"]["taskId"].as_str().unwrap().to_owned()
    };
    let answer = |id: &str, name: &str| {
        let asking = task_after(&server, id, "working");
        assert_eq!(asking["status"], "input_required", "{asking}");
        let (question, asked) = asking["inputRequests"].as_object().unwrap().iter().next().unwrap();
        let message = asked["params"]["message"].as_str().unwrap();
        assert!(message.ends_with("name? "), "{message}");
        let response = json!({ question: { "action": "accept", "content": { "answer": name } } });
        let update = json!({ "taskId": id, "inputResponses": response });
        let updated = ask_as_task(&server, "tasks/update", id, &update);
        assert!(updated["error"].is_null(), "{updated}");
    };

    let id = run("smart");
    answer(&id, "Ada");
    let done = task_after(&server, &id, "working");
    assert_eq!(done["status"], "completed", "{done}");
    let text = done["result"]["content"].to_string();
    assert!(text.contains("hello Ada"), "{text}");

    let id = run("full");
    answer(&id, "Eve");
    let cancelled = ask_as_task(&server, "tasks/cancel", &id, &json!({ "taskId": id }));
    assert!(cancelled["error"].is_null(), "{cancelled}");
    assert_eq!(task_after(&server, &id, "working")["status"], "cancelled");
    let unknown = ask_as_task(&server, "tasks/get", "x", &json!({ "taskId": "x" }));
    assert_eq!(unknown["error"]["code"], -32602, "{unknown}");
}

#[test]
fn a_server_that_is_asked_to_end_answers_first_and_leaves_the_run() {
    let Some(lab) = Served::new() else { return };
    let server = Listening::new(&lab, &[]);
    let client = server.client();
    let go = lab.path("go").display().to_string();
    let source = format!(
        "import os, time\nprint('begun', flush=True)\nwhile not os.path.exists({go:?}):\n    time.sleep(0.01)\nprint(6 * 7)"
    );
    let made = json!({ "path": "a.ipynb", "cells": [{ "source": source }] });
    assert!(!client.call("notebook_create", &made).is_error);
    let running = client.call("run", &json!({ "path": "a.ipynb", "wait_seconds": 0 }));
    let run = running.structured["run_id"].clone();
    let wait = json!({
        "name": "run_status", "arguments": { "run_id": run, "wait_seconds": 600 }, "_meta": { "progressToken": 1 },
    });
    let mut waiting = client.send(&request(9, "tools/call", &wait));
    waiting.read_until("begun");
    let listening = client.server;
    let bearer = format!("Bearer {}", listening.token);
    let headers = [
        ("Authorization", bearer.as_str()),
        ("Accept", "text/event-stream"),
        ("Mcp-Session-Id", &client.session),
    ];
    // A stream that would never end by itself.
    let mut stream = Sent::new(listening.address, "GET", "/mcp", &headers, b"");
    stream.read_until("\nretry:");
    server.running.signal(Signal::SIGTERM);
    let answer = waiting.read_until("\"id\":9");
    assert!(answer.contains("\"state\":\"running\""), "{answer}");
    assert_eq!(server.running.finish().0, Some(143));

    std::fs::write(go, "").unwrap();
    let next = Listening::new(&lab, &[]);
    let ended = next
        .client()
        .call("run_status", &json!({ "run_id": run, "wait_seconds": 60 }));
    assert_eq!(ended.structured["state"], "completed", "{}", ended.text);
    assert_eq!(crate::lab::printed(&lab.json("a.ipynb"), 0), "begun\n42\n");
}

#[test]
fn whoever_has_no_business_here_is_turned_away() {
    let Some(lab) = Served::new() else { return };
    let server = Listening::new(&lab, &[]);
    let list = request(1, "tools/list", &json!({}));
    let wrong = format!("Bearer {}x", server.token);
    let basic = format!("Basic {}", server.token);
    for authorization in [
        "",
        "Bearer",
        "Bearer ",
        wrong.as_str(),
        basic.as_str(),
        server.token.as_str(),
    ] {
        let refused = server.post(&[("Authorization", authorization)], list.as_bytes());
        assert_eq!(refused.status, 401, "{authorization:?}");
        assert_eq!(refused.header("www-authenticate"), Some("Bearer"));
        let message = refused.answer()["error"]["message"].to_string();
        assert!(message.contains("Authorization: Bearer"), "{message}");
    }
    for header in [
        ("Host", "evil.example"),
        ("Host", "127.0.0.1.evil.example:80"),
        ("Origin", "http://evil.example"),
    ] {
        let refused = server.post(&[header], list.as_bytes());
        assert_eq!(refused.status, 403, "{header:?}");
        let message = refused.answer()["error"]["message"].to_string();
        assert!(message.contains("not allowed"), "{message}");
    }
    let page = [("Host", "localhost"), ("Origin", "http://localhost:6274")];
    let info = call_without_session("server_info", &json!({}));
    let headers = [page.as_slice(), headers_without_session("server_info").as_slice()].concat();
    assert_eq!(server.post(&headers, info.as_bytes()).status, 200);

    let allowed = ["--allow-host", "lab.example", "--allow-origin", "https://app.example"];
    let server = Listening::new(&lab, &allowed);
    for (host, origin, status) in [
        ("lab.example:8443", "https://app.example", 200),
        ("lab.example", "http://app.example", 403),
        ("app.example", "https://app.example", 403),
    ] {
        let page = [("Host", host), ("Origin", origin)];
        let headers = [page.as_slice(), headers_without_session("server_info").as_slice()].concat();
        assert_eq!(server.post(&headers, info.as_bytes()).status, status, "{host} {origin}");
    }
}

#[test]
fn a_server_outlives_whatever_comes_over_http() {
    let Some(lab) = Served::new() else { return };
    let server = Listening::new(&lab, &[]);
    let client = server.client();
    let error = |body: &[u8]| {
        let refused = server.post(&client.headers(), body);
        (refused.status, refused.answer()["error"]["code"].as_i64().unwrap())
    };
    assert_eq!(error(b"{ this is no JSON"), (400, -32700));
    assert_eq!(error(b"\xff\xfe"), (400, -32700));
    assert_eq!(error(b""), (400, -32700));
    assert_eq!(error(b"[]"), (400, -32600));
    assert_eq!(error(br#"{"jsonrpc":"1.0","id":1,"method":"ping"}"#), (400, -32600));
    assert_eq!(
        error(request(1, "no/such/method", &json!({})).as_bytes()),
        (200, -32601)
    );
    assert_eq!(error(&vec![b'['; 10_000_000]), (400, -32700));
    assert_eq!(error(&vec![b' '; 100_000_000]), (413, -32600));
    let path = "a".repeat(1_000_000);
    let long = client.call("notebook_read", &json!({ "path": path }));
    assert!(long.is_error && long.text.len() < 16_000, "{} bytes", long.text.len());

    let limits = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
    setrlimit(Resource::RLIMIT_NOFILE, limits.1, limits.1).unwrap();
    let message = call_without_session("server_info", &json!({}));
    let send = |_| server.send(&headers_without_session("server_info"), message.as_bytes());
    let sent: Vec<Sent> = (0..1000).map(send).collect();
    for sent in sent {
        let answer = sent.response().answer();
        assert!(!told(&answer).is_error, "{answer}");
    }
}

#[test]
fn a_server_asks_for_the_token_that_it_was_given() {
    let Some(lab) = Served::new() else { return };
    lab.write("token", "from-a-file\n");
    let message = call_without_session("server_info", &json!({}));
    let status = |server: &Listening, token: &str| {
        let bearer = format!("Bearer {token}");
        let headers = [
            headers_without_session("server_info").as_slice(),
            &[("Authorization", bearer.as_str())],
        ]
        .concat();
        server.post(&headers, message.as_bytes()).status
    };
    let server = Listening::new(&lab, &["--token-file", "token"]);
    assert_eq!((status(&server, "from-a-file"), status(&server, "")), (200, 401));
    let server = Listening::new(&lab, &["--token", "named"]);
    assert_eq!((status(&server, "named"), status(&server, "from-a-file")), (200, 401));
    let server = Listening::new(&lab, &["--no-token"]);
    assert_eq!(status(&server, ""), 200);
}

#[test]
fn other_machines_are_served_on_demand_only() {
    let Some(lab) = Served::new() else { return };
    let refused = lab.run(&["serve", "--http", "0.0.0.0:0"]);
    assert_eq!(refused.code, 2);
    assert!(refused.stderr.contains("--allow-remote"), "{}", refused.stderr);
    let unguarded = lab.run(&["serve", "--http", "0.0.0.0:0", "--allow-remote", "--no-token"]);
    assert_eq!(unguarded.code, 2);
    let spaced = lab.run(&["serve", "--http", "127.0.0.1:0", "--token", "a b"]);
    assert_eq!(spaced.code, 2);
    let taken = Listening::new(&lab, &[]);
    let again = lab.run(&["serve", "--http", &taken.address.to_string()]);
    assert_eq!(again.code, 1);
    assert!(again.stderr.contains("cannot listen on 127.0.0.1"), "{}", again.stderr);
}

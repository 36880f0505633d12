//! What `install` does to the files of clients.

use serde_json::json;

use crate::lab::Lab;

const FILES: [(&str, &str); 5] = [
    ("claude-code", ".claude.json"),
    ("claude-desktop", ".config/Claude/claude_desktop_config.json"),
    ("cursor", ".cursor/mcp.json"),
    ("vscode", ".config/Code/User/mcp.json"),
    ("codex", ".codex/config.toml"),
];

#[test]
fn each_client_is_told_once() {
    let Some(lab) = Lab::new() else { return };
    for (client, file) in FILES {
        let first = lab.run(&["install", client]);
        assert_eq!(first.code, 0, "{}", first.stderr);
        assert!(
            first.stdout.contains('+') && first.stderr.contains("a new file"),
            "{}",
            first.stderr
        );
        let written = lab.read(file);
        assert!(
            written.contains("mcp-jupyter") && written.contains("--root"),
            "{written}"
        );
        let second = lab.run(&["install", client]);
        assert_eq!((second.code, second.stdout.as_str()), (0, ""), "{}", second.stderr);
        assert_eq!(lab.read(file), written);
        assert!(!lab.path(&format!("{file}.bak")).exists());
    }
}

#[test]
fn what_was_there_is_kept_and_backed_up() {
    let Some(lab) = Lab::new() else { return };
    let before = "{\n\t// mine\n\t\"servers\": { \"other\": { \"url\": \"x\" } },\n}\n";
    lab.write(".vscode/mcp.json", before);
    let dry = lab.run(&["install", "vscode", "--scope", "project", "--dry-run"]);
    assert!(dry.stdout.contains("workspaceFolder"), "{}", dry.stdout);
    assert_eq!(lab.read(".vscode/mcp.json"), before);
    let done = lab.run(&["install", "vscode", "--scope", "project", "--", "--read-only"]);
    assert_eq!(done.code, 0, "{}", done.stderr);
    assert_eq!(lab.read(".vscode/mcp.json.bak"), before);
    let after = lab.read(".vscode/mcp.json");
    assert!(after.contains("// mine") && after.contains("\"url\": \"x\"") && after.contains("--read-only"));
    lab.run(&["install", "vscode", "--scope", "project"]);
    assert_eq!(lab.read(".vscode/mcp.json.bak"), before);
    assert_eq!(lab.read(".vscode/mcp.json.bak.2"), after);
}

#[test]
fn what_makes_no_sense_is_refused_and_nothing_is_written() {
    let Some(lab) = Lab::new() else { return };
    lab.write(".mcp.json", "{ \"mcpServers\": ");
    lab.write(".codex/config.toml", "a = [");
    lab.write(
        ".cursor/mcp.json",
        &json!({ "mcpServers": { "jupyter": { "command": "x" } } }).to_string(),
    );
    for (arguments, reason) in [
        (
            &["install", "claude-code", "--scope", "project"][..],
            ".mcp.json: EOF while parsing a value at line 1",
        ),
        (&["install", "codex"], "config.toml: TOML parse error at line 1"),
        (&["install", "cursor"], "another program"),
        (&["install", "vscode", "--root", "/"], "whole file system"),
        (&["install", "vscode", "--", "--red-only"], "--red-only"),
        (
            &["install", "claude-desktop", "--scope", "project"],
            "no configuration of projects",
        ),
    ] {
        let refused = lab.run(arguments);
        assert_eq!((refused.code, refused.stdout.as_str()), (2, ""), "{}", refused.stderr);
        assert!(refused.stderr.contains(reason), "{}", refused.stderr);
    }
    assert_eq!(lab.read(".mcp.json"), "{ \"mcpServers\": ");
    assert_eq!(lab.read(".codex/config.toml"), "a = [");
    assert!(!lab.path(".config").exists());
}

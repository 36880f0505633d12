//! Large outputs in a store beside the notebook, on a real kernel.

use std::fs;
use std::process::Command;

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::lab::Lab;

/// Output of every kind, small and large, the same in every run.
const CELLS: &[&str] = &[
    "for i in range(20000): print('line', i)",
    "import sys\nprint('x' * 70000)\nprint('e' * 70000, file=sys.stderr)\nprint('again')",
    "import struct, zlib\nfrom IPython.display import display, Image, clear_output\n\
     def part(kind, data):\n    return struct.pack('>I', len(data)) + kind + data + struct.pack('>I', zlib.crc32(kind + data))\n\
     rows = b''.join(b'\\0' + bytes((x * x * 7 + y * y * 13 + x * y) % 256 for x in range(1800)) for y in range(400))\n\
     display(Image(b'\\x89PNG\\r\\n\\x1a\\n' + part(b'IHDR', struct.pack('>IIBBBBB', 600, 400, 8, 2, 0, 0, 0))\
     + part(b'IDAT', zlib.compress(rows, 0)) + part(b'IEND', b'')))",
    "rows = ''.join(f'<tr><td>{i}</td><td>y</td></tr>' for i in range(9000))\n\
     display({'text/html': f'<table><thead><tr><th>a</th><th>b</th></tr></thead><tbody>{rows}</tbody></table>',\
     'text/plain': 'df'}, raw=True)",
    "display({'application/json': {'k': list(range(30000)), 'x': 0.1}}, raw=True)",
    "print('y' * 70000)\nclear_output()\nprint('left')",
    "'q' * 100000",
];

fn list(lab: &Lab) -> Vec<Value> {
    let listed = lab.run(&["assets", "list", "--store", "store", "--json"]);
    assert_eq!((listed.code, listed.stderr.as_str()), (0, ""));
    serde_json::from_str(&listed.stdout).unwrap()
}

fn sha256(bytes: &[u8]) -> String {
    let digest = Sha256::digest(bytes);
    digest
        .iter()
        .fold("sha256:".to_owned(), |text, byte| format!("{text}{byte:02x}"))
}

/// What `code` prints when the lab's Python runs it.
fn python(lab: &Lab, code: &str) -> String {
    let ran = Command::new(lab.python())
        .args(["-I", "-c", code])
        .current_dir(lab.path(""))
        .output()
        .unwrap();
    assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
    String::from_utf8(ran.stdout).unwrap()
}

/// Runs the cells with a store, and asserts that it went well.
fn offloaded(lab: &Lab) {
    lab.notebook("in.ipynb", CELLS);
    let arguments = [
        "run",
        "-q",
        "--strip-timing",
        "--assets",
        "store",
        "in.ipynb",
        "-o",
        "off.ipynb",
    ];
    let ran = lab.run(&arguments);
    assert_eq!((ran.code, ran.stderr.as_str()), (0, ""));
}

#[test]
fn what_is_too_large_is_whole_in_the_store_and_comes_back() {
    let Some(lab) = Lab::new() else { return };
    offloaded(&lab);
    assert_eq!(
        lab.run(&["run", "-q", "--strip-timing", "in.ipynb", "-o", "plain.ipynb"])
            .code,
        0
    );
    assert!(fs::metadata(lab.path("off.ipynb")).unwrap().len() < 150_000);
    let printed = (0..20_000).fold(String::new(), |printed, i| printed + &format!("line {i}\n"));
    let digest = sha256(printed.as_bytes());
    let all = list(&lab);
    let lines = all.iter().find(|asset| asset["digest"] == digest.as_str()).unwrap();
    let notebook = lab.path("off.ipynb").canonicalize().unwrap();
    let expected = json!({
        "digest": digest, "length": printed.len(), "mime": "text/plain", "created": lines["created"], "lines": 20_000,
        "refs": [{ "notebook": notebook, "cell": "cell-0" }],
    });
    assert_eq!((*lines).clone(), expected);
    assert_eq!(all.len(), 7);
    assert_eq!(lab.run(&["assets", "cat", &digest, "--store", "store"]).stdout, printed);
    let part = lab.run(&["assets", "cat", &digest, "--store", "store", "--bytes", "-11"]);
    assert_eq!(part.stdout, "line 19999\n");
    let back = lab.run(&["assets", "inline", "off.ipynb", "-o", "back.ipynb", "--store", "store"]);
    assert_eq!(
        (back.code, back.stderr.as_str()),
        (0, "back.ipynb: 7 outputs put back\n")
    );
    assert_eq!(lab.read("back.ipynb"), lab.read("plain.ipynb"));
    let again = lab.run(&[
        "assets",
        "offload",
        "plain.ipynb",
        "-o",
        "off2.ipynb",
        "--store",
        "store",
    ]);
    assert_eq!(again.code, 0);
    assert_eq!(lab.read("off2.ipynb"), lab.read("off.ipynb"));
}

#[test]
fn notebooks_with_previews_are_valid_and_can_be_converted() {
    let Some(lab) = Lab::new() else { return };
    offloaded(&lab);
    let code = "import nbformat, nbconvert; notebook = nbformat.read('off.ipynb', 4); nbformat.validate(notebook)\n\
                for kind in (nbconvert.HTMLExporter, nbconvert.MarkdownExporter, nbconvert.ScriptExporter):\n    \
                print(kind().from_notebook_node(notebook)[0])";
    let converted = python(&lab, code);
    for shown in [
        "line 19999",
        "19,960 of 20,000 lines",
        "9,000 rows × 2 columns",
        "data:image/png;base64,",
    ] {
        assert!(converted.contains(shown), "{shown}");
    }
}

#[test]
fn assets_are_listed_shown_exported_and_verified() {
    let Some(lab) = Lab::new() else { return };
    offloaded(&lab);
    let image = list(&lab)
        .into_iter()
        .find(|asset| asset["mime"] == "image/png")
        .unwrap();
    assert_eq!(image["pixels"], json!([600, 400]));
    let digest = image["digest"].as_str().unwrap();
    let shown = lab.run(&["assets", "show", digest, "--store", "store"]);
    assert!(
        shown.stdout.contains("600 × 400") && shown.stdout.contains("off.ipynb#cell-2"),
        "{}",
        shown.stdout
    );
    let export = ["assets", "export", digest, "-o", "image.png", "--store", "store"];
    assert_eq!(lab.run(&export).code, 0);
    assert_eq!(sha256(&fs::read(lab.path("image.png")).unwrap()), digest);
    let twice = lab.run(&export);
    assert_eq!(
        (twice.code, twice.stderr.lines().next()),
        (2, Some("error: image.png exists"))
    );
    let verified = lab.run(&["assets", "verify", "--store", "store"]);
    assert_eq!(
        (verified.code, verified.stderr.as_str()),
        (0, "7 verified, 0 damaged\n")
    );
    let hex = digest.strip_prefix("sha256:").unwrap();
    fs::write(lab.path(&format!("store/sha256/{}/{hex}", &hex[..2])), "other bytes").unwrap();
    let damaged = lab.run(&["assets", "verify", digest, "--store", "store"]);
    assert_eq!(damaged.code, 1);
    assert!(
        damaged
            .stderr
            .starts_with(&format!("{digest}: its bytes are those of sha256:"))
    );
    let inline = lab.run(&["assets", "inline", "off.ipynb", "--store", "store"]);
    assert_eq!(inline.code, 1);
    assert!(
        inline.stderr.contains("is damaged: its bytes are those of"),
        "{}",
        inline.stderr
    );
}

#[test]
fn pruning_takes_two_times_and_only_what_nothing_needs() {
    let Some(lab) = Lab::new() else { return };
    offloaded(&lab);
    let prune = |more: &[&str]| {
        let arguments = [&["assets", "prune", "--store", "store", "--roots", ".", "--json"], more].concat();
        let pruned = lab.run(&arguments);
        assert_eq!(pruned.code, 0, "{}", pruned.stderr);
        let pruned: Value = serde_json::from_str(&pruned.stdout).unwrap();
        let count = |name: &str| pruned[name].as_array().unwrap().len();
        (count("deleted"), count("waiting"), pruned["needed"].as_u64().unwrap())
    };
    assert_eq!(prune(&["--grace", "0"]), (0, 0, 7));
    // Another name for it: what it shows is needed as before.
    fs::rename(lab.path("off.ipynb"), lab.path("renamed.ipynb")).unwrap();
    assert_eq!(prune(&["--grace", "0"]), (0, 0, 7));
    lab.notebook("off.ipynb", &["1"]);
    fs::remove_file(lab.path("renamed.ipynb")).unwrap();
    assert_eq!(prune(&["--dry-run", "--grace", "0"]), (7, 0, 0));
    assert_eq!(prune(&[]), (0, 7, 0));
    assert_eq!(list(&lab).len(), 7);
    fs::write(lab.path("store/sha256/notes.txt"), "not ours").unwrap();
    assert_eq!(prune(&["--grace", "0"]), (7, 0, 0));
    assert!(list(&lab).is_empty());
    assert_eq!(lab.read("store/sha256/notes.txt"), "not ours");
}

#[test]
fn what_makes_no_sense_is_refused() {
    let Some(lab) = Lab::new() else { return };
    lab.notebook("in.ipynb", &["1"]);
    lab.write("file", "");
    let none = format!("sha256:{}", "0".repeat(64));
    for (arguments, code, said) in [
        (
            &["assets", "cat", "sha256:../../etc/passwd", "--store", "s"][..],
            2,
            "is no digest",
        ),
        (&["assets", "cat", &none, "--store", "s"], 1, "has no asset sha256:000"),
        (&["assets", "list", "--store", "ftp://x/y"], 2, "expected a path"),
        (
            &["assets", "list", "--store", "file"],
            1,
            "open the folder of the assets",
        ),
        (
            &["assets", "list", "--store", "grpc://127.0.0.1:1"],
            7,
            "the asset service at grpc://127.0.0.1:1 cannot be reached",
        ),
        (
            &["run", "in.ipynb", "--no-output", "--assets", "ftp://x"],
            2,
            "expected a path",
        ),
        (
            &["run", "in.ipynb", "--no-output", "--asset-threshold", "1k"],
            2,
            "--assets",
        ),
        (&["assets", "prune", "--store", "s", "--roots", "nowhere"], 1, "nowhere"),
        (
            &["assets", "cat", &none, "--store", "s", "--bytes", "9-1"],
            2,
            "9 is behind 1",
        ),
    ] {
        let refused = lab.run(arguments);
        assert_eq!(refused.code, code, "{arguments:?}: {}", refused.stderr);
        assert!(refused.stderr.contains(said), "{arguments:?}: {}", refused.stderr);
    }
}

#[test]
fn a_killed_run_leaves_only_whole_assets() {
    let Some(lab) = Lab::new() else { return };
    let pipe = lab.pipe("pipe");
    let endless = "import itertools\nfor i in itertools.count():\n    print('z' * 1000)\n    \
                   if i == 2000: open('pipe', 'w').write('x')";
    lab.notebook("in.ipynb", &["print('y' * 100000)", endless]);
    let running = lab.start(&["run", "in.ipynb", "-o", "out.ipynb", "--assets", "store"]);
    fs::read(pipe).unwrap();
    running.signal(nix::sys::signal::Signal::SIGKILL);
    running.finish();
    let verified = lab.run(&["assets", "verify", "--store", "store"]);
    assert_eq!(
        (verified.code, verified.stderr.as_str()),
        (0, "1 verified, 0 damaged\n")
    );
}

#[test]
fn parts_of_an_asset_are_read_and_found() {
    let Some(lab) = Lab::new() else { return };
    offloaded(&lab);
    let all = list(&lab);
    let digest = |mime: &str, lines: &Value| {
        let of_type = all
            .iter()
            .find(|asset| asset["mime"] == mime && asset["lines"] == *lines);
        of_type.unwrap()["digest"].as_str().unwrap().to_owned()
    };
    let lines = digest("text/plain", &json!(20_000));
    let read = |arguments: &[&str]| {
        let read = lab.run(&[&["assets"], arguments, &["--store", "store"]].concat());
        (read.code, read.stdout, read.stderr)
    };
    let shown = |text: &str| (0, text.to_owned(), String::new());
    let notice = "lines 1-9 and 12-20000 of 20000 are left out; read on with lines 12-13\n";
    let part = (0, "line 9\nline 10\n".to_owned(), notice.to_owned());
    assert_eq!(read(&["cat", &lines, "--lines", "10-11"]), part);
    assert_eq!(read(&["cat", &lines, "--lines", "-1"]).1, "line 19999\n");
    let found =
        "1999-line 1998\n2000:line 1999\n2001-line 2000\n--\n11999-line 11998\n12000:line 11999\n12001-line 12000\n";
    assert_eq!(read(&["search", &lines, "(^| )1?1999$", "-E", "-C", "1"]), shown(found));
    let (code, stdout, notice) = read(&["search", &lines, "LINE", "-i", "--max-count", "2"]);
    assert_eq!((code, stdout.as_str()), (0, "1:line 0\n2:line 1\n"));
    assert!(notice.contains('3'), "{notice}");
    assert_eq!(
        read(&["search", &lines, "nothing"]),
        (0, String::new(), "it is not found\n".to_owned())
    );
    assert_eq!(read(&["search", &lines, "(", "-E"]).0, 2);
    let json = digest("application/json", &json!(1));
    assert_eq!(read(&["cat", &json, "--pointer", "/k/7"]), shown("7\n"));
    let (code, _, refused) = read(&["cat", &json, "--pointer", "/none/7"]);
    assert!(code != 0 && refused.contains("none"), "{refused}");
    let image = digest("image/png", &Value::Null);
    let fitted = lab
        .command(&["assets", "cat", &image, "--fit", "60x60", "--store", "store"])
        .output()
        .unwrap();
    // Width and height stand behind the signature and the head of the first part.
    assert_eq!(fitted.stdout[16..24], [0, 0, 0, 60, 0, 0, 0, 40]);
    assert_eq!(read(&["cat", &lines, "--fit", "60x60"]).0, 2);
}

#[test]
fn secrets_are_masked_where_that_is_asked_for() {
    let Some(lab) = Lab::new() else { return };
    let token = "ghp_0123456789abcdefghijABCDEFGHIJ012345";
    let print = format!(
        "for part in ('x' * 70000 + ' gh', 'p_0123456789abcdefghij', '{}'):\n    print(part, end='', flush=True)",
        &token[24..]
    );
    let secret = "import os\nprint(os.environ['MY_API_KEY'])\nraise ValueError(os.environ['MY_API_KEY'])";
    lab.notebook("in.ipynb", &[&print, secret]);
    let arguments = [
        "run",
        "-q",
        "in.ipynb",
        "-o",
        "out.ipynb",
        "--assets",
        "store",
        "--env",
        "MY_API_KEY=opensesame1",
        "--allow-errors",
    ];
    assert_eq!(lab.run(&arguments).code, 0);
    assert!(lab.read("out.ipynb").contains("opensesame1"));
    assert_eq!(lab.run(&[&arguments[..], &["--redact", "stored"]].concat()).code, 0);
    let notebook = lab.read("out.ipynb");
    assert!(
        !notebook.contains("opensesame1") && notebook.contains("***********"),
        "{notebook}"
    );
    let masked = format!("{} ghp_{}", "x".repeat(70_000), "*".repeat(36));
    let stored: Vec<Value> = list(&lab);
    let digest = sha256(masked.as_bytes());
    assert!(
        stored.iter().any(|asset| asset["digest"] == digest.as_str()),
        "{stored:?}"
    );
}

#[test]
fn a_killed_export_leaves_the_whole_file_or_none() {
    let Some(lab) = Lab::new() else { return };
    lab.notebook(
        "in.ipynb",
        &["import sys\nfor i in range(400): sys.stdout.write('z' * 49999 + '\\n')"],
    );
    assert_eq!(
        lab.run(&["run", "-q", "in.ipynb", "--no-output", "--assets", "store"])
            .code,
        0
    );
    let asset = &list(&lab)[0];
    let (digest, length) = (asset["digest"].as_str().unwrap(), asset["length"].as_u64().unwrap());
    assert_eq!(length, 20_000_000);
    let written = || {
        let files = fs::read_dir(lab.path("")).unwrap().map(Result::unwrap);
        let unfinished = files.filter(|file| file.file_name().to_string_lossy().starts_with(".mcp-jupyter-"));
        unfinished
            .filter_map(|file| file.metadata().ok())
            .map(|found| found.len())
            .max()
    };
    for step in 0..10 {
        let mut running = lab.start(&["assets", "export", digest, "-o", "out", "--force", "--store", "store"]);
        // As soon as so much is written, a different part each time.
        while written().is_none_or(|written| written < step * 2_000_000) && !running.has_ended() {
            std::thread::yield_now();
        }
        running.kill();
        running.finish();
        let found = fs::metadata(lab.path("out")).ok().map(|found| found.len());
        assert!(found.is_none_or(|found| found == length), "{found:?}");
        for file in fs::read_dir(lab.path("")).unwrap().map(Result::unwrap) {
            if file.file_name().to_string_lossy().starts_with(".mcp-jupyter-") {
                fs::remove_file(file.path()).unwrap();
            }
        }
    }
}

//! Any bytes are a notebook or are refused; what is a notebook is written so that it reads the same again.
#![no_main]

use libfuzzer_sys::fuzz_target;
use mcp_jupyter_core::model::Json;
use mcp_jupyter_core::session::notebook::Notebook;

fuzz_target!(|document: &[u8]| {
    let Ok(mut notebook) = Notebook::parse(document) else {
        return;
    };
    let nbformat = Json::parse(document)
        .ok()
        .and_then(|document| document.get("nbformat")?.as_i64());
    if nbformat != Some(4) {
        // nbformat joins fewer lines in an old notebook than in what it upgrades that to.
        notebook = reread(&notebook);
    }
    let again = reread(&notebook);
    assert_eq!(again.nbformat_minor(), notebook.nbformat_minor());
    assert_eq!(again.cells(), notebook.cells());
    assert_eq!(again.to_bytes(), notebook.to_bytes());
});

fn reread(notebook: &Notebook) -> Notebook {
    Notebook::parse(&notebook.to_bytes()).expect("what is written is read")
}

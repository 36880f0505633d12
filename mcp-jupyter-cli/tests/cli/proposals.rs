//! Edits that an agent proposes and a person accepts or rejects.

use serde_json::{Value, json};

use crate::serving::{Client, Served};

/// Proposes another source for the first cell of `a.ipynb`; gives the proposal's id.
fn propose(client: &mut Client, new: &str) -> String {
    let edits = json!([
        { "op": "replace_text", "cell": "cell-0", "old": "1", "new": new },
        { "op": "insert", "source": "y = x", "at": "after:cell-0" },
    ]);
    let proposed = client.call(
        "notebook_edit",
        &json!({ "path": "a.ipynb", "edits": edits, "propose": true }),
    );
    assert!(!proposed.is_error, "{}", proposed.text);
    let id = proposed.structured["proposal_id"].as_str().unwrap().to_owned();
    assert!(
        proposed.text.contains(&format!("proposals accept {id}")),
        "{}",
        proposed.text
    );
    id
}

#[test]
fn a_proposal_edits_nothing_until_it_is_accepted() {
    let Some(lab) = Served::new() else { return };
    lab.notebook("a.ipynb", &["x = 1"]);
    let before = lab.read("a.ipynb");
    let id = propose(&mut lab.connect(), "2");
    assert_eq!(lab.read("a.ipynb"), before);

    let listed = lab.run(&["proposals", "list", "--json"]);
    let listed: Vec<Value> = serde_json::from_str(&listed.stdout).unwrap();
    assert_eq!((listed.len(), &listed[0]["id"]), (1, &json!(id)));
    assert_eq!(listed[0]["client"], "test");
    let table = lab.run(&["proposals", "list"]).stdout;
    assert!(table.contains(&id) && table.contains("fits"), "{table}");
    let shown = lab.run(&["proposals", "show", &id[..4]]);
    assert!(
        shown.stdout.contains("-x = 1") && shown.stdout.contains("+x = 2"),
        "{}",
        shown.stdout
    );

    let accepted = lab.run(&["proposals", "accept", &id]);
    assert_eq!(accepted.code, 0, "{}", accepted.stderr);
    let cells = lab.json("a.ipynb")["cells"].clone();
    assert_eq!(
        (&cells[0]["source"], &cells[1]["source"]),
        (&json!(["x = 2"]), &json!(["y = x"]))
    );
    let again = lab.run(&["proposals", "accept", &id]);
    assert_eq!(again.code, 2);
    assert!(again.stderr.contains("there is no proposal"), "{}", again.stderr);
}

#[test]
fn a_proposal_for_what_has_changed_is_refused_with_the_present_text_and_stays() {
    let Some(lab) = Served::new() else { return };
    lab.notebook("a.ipynb", &["x = 1"]);
    let mut client = lab.connect();
    let id = propose(&mut client, "2");
    let edit = json!({ "op": "replace_text", "cell": "cell-0", "old": "x = 1", "new": "x = 1 + 10" });
    client.call("notebook_edit", &json!({ "path": "a.ipynb", "edits": [edit] }));
    let refused = lab.run(&["proposals", "accept", &id]);
    assert_eq!(refused.code, 1);
    assert!(refused.stderr.contains("x = 1 + 10"), "{}", refused.stderr);
    assert_eq!(lab.json("a.ipynb")["cells"].as_array().unwrap().len(), 1);
    let table = lab.run(&["proposals", "list"]).stdout;
    assert!(table.contains("stale"), "{table}");
    let rejected = lab.run(&["proposals", "reject", &id]);
    assert_eq!(rejected.code, 0, "{}", rejected.stderr);
    assert_eq!(lab.run(&["proposals", "list", "--json"]).stdout, "[]\n");
}

#[test]
fn what_could_not_be_applied_is_not_proposed() {
    let Some(lab) = Served::new() else { return };
    lab.notebook("a.ipynb", &["x = 1"]);
    let edits = json!([{ "op": "replace_text", "cell": "cell-0", "old": "y", "new": "z" }]);
    let arguments = json!({ "path": "a.ipynb", "edits": edits, "propose": true });
    let refused = lab.connect().call("notebook_edit", &arguments);
    assert!(
        refused.is_error && refused.text.contains("nothing was proposed"),
        "{}",
        refused.text
    );
    assert_eq!(lab.run(&["proposals", "list", "--json"]).stdout, "[]\n");
}

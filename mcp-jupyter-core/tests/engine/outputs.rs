//! From messages to the outputs of cells.

use mcp_jupyter_core::kernel::memory::{MemoryProvisioner, Reaction};
use mcp_jupyter_core::model::{Json, JsonMap};

use crate::scene::{request, run, run_cells, shown};

fn json(text: &str) -> JsonMap {
    match Json::parse(text.as_bytes()).unwrap() {
        Json::Object(map) => map,
        other => panic!("{other} is no object"),
    }
}

#[tokio::test(start_paused = true)]
async fn adjacent_streams_of_one_name_are_joined() {
    let (_, finished) = run_cells(&["print a\nprint b\neprint c\nprint d\ndisplay x y\nprint e"]).await;
    assert_eq!(
        shown(&finished, 0),
        [
            "stdout: a\nb\n",
            "stderr: c\n",
            "stdout: d\n",
            "display: y",
            "stdout: e\n"
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn control_characters_are_kept_as_sent() {
    let provisioner = MemoryProvisioner::new().with_response(
        "bar",
        [
            Reaction::stdout("10%\r"),
            Reaction::stdout("100%\r\n"),
            Reaction::stdout("x\u{8}y"),
        ],
    );
    let (_, finished) = run(&provisioner, request(&provisioner, &["bar"])).await;
    assert_eq!(shown(&finished, 0), ["stdout: 10%\r100%\r\nx\u{8}y"]);
}

#[tokio::test(start_paused = true)]
async fn an_update_reaches_every_output_with_the_id_in_any_cell() {
    let cells = [
        "display chart one\nprint x",
        "display chart two\ndisplay other o",
        "update chart three",
        "update none n",
    ];
    let (_, finished) = run_cells(&cells).await;
    assert_eq!(shown(&finished, 0), ["display: three", "stdout: x\n"]);
    assert_eq!(shown(&finished, 1), ["display: three", "display: o"]);
    assert!(shown(&finished, 2).is_empty() && shown(&finished, 3).is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_display_under_a_known_id_updates_the_earlier_ones() {
    let (_, finished) = run_cells(&["display chart one", "display chart two"]).await;
    assert_eq!(shown(&finished, 0), ["display: two"]);
    assert_eq!(shown(&finished, 1), ["display: two"]);
}

#[tokio::test(start_paused = true)]
async fn outputs_are_cleared_at_once_or_with_the_next_one() {
    let (_, finished) = run_cells(&["print a\nclear", "print a\nclear wait", "print a\nclear wait\nprint b"]).await;
    assert!(shown(&finished, 0).is_empty());
    assert_eq!(shown(&finished, 1), ["stdout: a\n"]);
    assert_eq!(shown(&finished, 2), ["stdout: b\n"]);
}

#[tokio::test(start_paused = true)]
async fn what_was_cleared_is_updated_no_more() {
    let (_, finished) = run_cells(&["display d one\nclear\nprint kept", "update d two"]).await;
    assert_eq!(shown(&finished, 0), ["stdout: kept\n"]);
}

#[tokio::test(start_paused = true)]
async fn what_a_thread_prints_later_goes_to_its_own_cell() {
    let later = Reaction::Background(vec![
        Reaction::Sleep(std::time::Duration::from_secs(5)),
        Reaction::stdout("late\n"),
    ]);
    let provisioner = MemoryProvisioner::new().with_response("thread", [Reaction::stdout("early\n"), later]);
    let (_, finished) = run(&provisioner, request(&provisioner, &["thread", "sleep 10\nprint done"])).await;
    assert_eq!(shown(&finished, 0), ["stdout: early\nlate\n"]);
    assert_eq!(shown(&finished, 1), ["stdout: done\n"]);
}

#[tokio::test(start_paused = true)]
async fn outputs_between_the_reply_and_the_idle_status_are_kept() {
    let provisioner = MemoryProvisioner::new().with_response(
        "flush",
        [Reaction::AfterReply(vec![Reaction::stdout("flushed late\n")])],
    );
    let (_, finished) = run(&provisioner, request(&provisioner, &["flush"])).await;
    assert_eq!(shown(&finished, 0), ["stdout: flushed late\n"]);
}

#[tokio::test(start_paused = true)]
async fn outputs_of_no_cell_are_counted_in_a_warning() {
    let stray = Reaction::Unsolicited {
        msg_type: "stream".to_owned(),
        content: json(r#"{"name": "stdout", "text": "whose?"}"#),
    };
    let provisioner = MemoryProvisioner::new().with_response("stray", [stray]);
    let (_, finished) = run(&provisioner, request(&provisioner, &["stray", "sleep 1"])).await;
    assert!(shown(&finished, 0).is_empty());
    assert!(
        finished
            .summary
            .warnings
            .iter()
            .any(|warning| warning.contains("1 output")),
        "{:?}",
        finished.summary
    );
}

#[tokio::test(start_paused = true)]
async fn widget_state_is_saved_in_the_notebook() {
    let open = json(
        r#"{"comm_id": "w1", "target_name": "jupyter.widget",
            "data": {"state": {"_model_name": "IntSlider", "_model_module": "m", "_model_module_version": "2",
                               "value": 1}, "buffer_paths": [["image"]]}}"#,
    );
    let change = json(r#"{"comm_id": "w1", "data": {"method": "update", "state": {"value": 7}}}"#);
    let open = Reaction::Publish {
        msg_type: "comm_open".to_owned(),
        content: open,
        buffers: vec![bytes::Bytes::from_static(b"\x00\x01")],
    };
    let provisioner = MemoryProvisioner::new().with_response("widget", [open, Reaction::publish("comm_msg", change)]);
    let (_, finished) = run(&provisioner, request(&provisioner, &["widget"])).await;
    let widgets = finished.notebook.metadata().get("widgets").unwrap().to_string();
    assert!(
        widgets.contains(r#""value":7"#) && widgets.contains(r#""data":"AAE=""#),
        "{widgets}"
    );
    assert!(widgets.contains(r#""version_major":2"#), "{widgets}");
}

#[tokio::test(start_paused = true)]
async fn an_output_widget_takes_what_is_said_while_it_names_the_request() {
    let open = json(
        r#"{"comm_id": "w1", "target_name": "jupyter.widget",
            "data": {"state": {"_model_name": "OutputModel", "_model_module": "@jupyter-widgets/output",
                               "_model_module_version": "1.0.0", "outputs": [], "msg_id": ""}}}"#,
    );
    let capture = |msg_id: &str| {
        let content = r#"{"comm_id": "w1", "data": {"method": "update", "state": {"msg_id": "ID"}}}"#;
        Reaction::publish("comm_msg", json(&content.replace("ID", msg_id)))
    };
    let provisioner = MemoryProvisioner::new().with_response(
        "capture",
        [
            Reaction::publish("comm_open", open),
            Reaction::stdout("before\n"),
            capture("{msg_id}"),
            Reaction::stdout("captured "),
            Reaction::stdout("too\n"),
            capture(""),
            Reaction::stdout("after\n"),
        ],
    );
    let (_, finished) = run(&provisioner, request(&provisioner, &["capture"])).await;
    assert_eq!(shown(&finished, 0), ["stdout: before\nafter\n"]);
    let widgets = finished.notebook.metadata().get("widgets").unwrap().to_string();
    assert!(widgets.contains(r#""text":"captured too\n""#), "{widgets}");
}

#[tokio::test(start_paused = true)]
async fn outputs_of_an_earlier_run_are_replaced() {
    let provisioner = MemoryProvisioner::new();
    let (_, first) = run(&provisioner, request(&provisioner, &["print one", "print two"])).await;
    let mut again = request(&provisioner, &[]);
    again.notebook = (*first.notebook).clone();
    again.notebook.cells_mut()[0].set_source("print changed");
    let (_, second) = run(&provisioner, again).await;
    assert_eq!(shown(&second, 0), ["stdout: changed\n"]);
    assert_eq!(shown(&second, 1), ["stdout: two\n"]);
}

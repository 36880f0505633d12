use mcp_jupyter_core::engine::{CellOutcome, RunOutcome};
use serde_json::{Value, json};

use super::outputs::Page;
use crate::mcp::answer::Answer;
use crate::mcp::resources::Address;
use crate::mcp::run_log::{Item, News, RunLog};

/// The state of a run in a word.
pub(in crate::mcp) fn run_state(log: &RunLog) -> &'static str {
    if !log.has_ended() {
        return if log.question().is_some() {
            "waiting_for_input"
        } else {
            "running"
        };
    }
    match log.summary().outcome {
        Some(RunOutcome::Ok) => "completed",
        Some(RunOutcome::TimedOut { .. }) => "timed_out",
        Some(RunOutcome::KernelDied { .. }) => "kernel_died",
        Some(RunOutcome::Interrupted { .. }) => "cancelled",
        Some(RunOutcome::CellFailed { .. } | RunOutcome::Failed { .. }) | None => "failed",
    }
}

/// What a run has done since a cursor, and what it does now.
pub(in crate::mcp) fn show_run(log: &RunLog, notebook: &str, since: u64, mut page: Page) -> Answer {
    let state = run_state(log);
    let news = log.news(since);
    let summary = log.summary();
    let id = log.run_id();
    let id = id.as_ref().map_or("(none)", |id| id.as_str());
    let done = summary.cells.len();
    page.line(format!(
        "run {id}: {state}, {done} of {} cells executed",
        summary.planned
    ));
    let cursor = news.cursor;
    show_news(news, notebook, &mut page);
    if let Some(question) = log.question() {
        page.line(format!(
            "the cell asks for {}: {:?}; answer with input_reply {}",
            if question.password { "a secret" } else { "input" },
            question.prompt,
            question.id
        ));
    } else if state == "running" {
        page.line(format!(
            "it goes on: run_status {{\"run_id\": {id:?}, \"since\": {cursor}}} shows what comes"
        ));
    }
    let structured = structured(log, state, cursor);
    Answer {
        content: page.finish(),
        structured: Some(structured),
        is_failure: matches!(state, "failed" | "timed_out" | "kernel_died"),
        ..Answer::default()
    }
}

fn structured(log: &RunLog, state: &str, cursor: u64) -> Value {
    let summary = log.summary();
    let cells = summary
        .cells
        .iter()
        .map(|cell| json!({ "id": cell.cell.id, "outcome": cell.outcome.name(), "seconds": cell.seconds }));
    let mut value = json!({
        "run_id": log.run_id(),
        "state": state,
        "planned": summary.planned,
        "skipped": summary.skipped,
        "cells": cells.collect::<Vec<_>>(),
        "cursor": cursor,
    });
    if let Some(cell) = log.running() {
        value["running"] = json!(cell.id);
    }
    if let Some(question) = log.question() {
        value["input_id"] = json!(question.id);
    }
    value
}

/// What a run has done since a cursor, for a message about its progress.
pub(in crate::mcp) fn show_progress(log: &RunLog, since: u64, page: &mut Page) {
    show_news(log.news(since), "", page);
}

/// Shows what happened; printed text of one cell is joined.
fn show_news(news: News, notebook: &str, page: &mut Page) {
    if news.missed > 0 {
        page.line(format!(
            "[{} earlier outputs are not kept here; notebook_read {notebook} shows them]",
            news.missed
        ));
    }
    let mut printed = Printed::default();
    for item in news.items {
        if let Item::Output(cell, output, _) = &item
            && output
                .get("output_type")
                .and_then(mcp_jupyter_core::model::Json::as_str)
                .as_deref()
                == Some("stream")
        {
            let text_of = |name: &str| output.get(name).map(super::outputs::joined).unwrap_or_default();
            printed.push(
                &text_of("name"),
                &text_of("text"),
                &how(notebook, cell.id.as_str()),
                page,
            );
            continue;
        }
        printed.flush(page);
        show_item(item, notebook, page);
    }
    printed.flush(page);
}

fn how(notebook: &str, cell: &str) -> String {
    format!(
        "notebook_read {{\"path\": {notebook:?}, \"cells\": [{cell:?}], \"output\": 0, \"lines\": \"1-200\"}} shows all of it by lines"
    )
}

/// Text that was printed and is not shown yet.
#[derive(Default)]
struct Printed {
    name: String,
    text: String,
    how: String,
}

impl Printed {
    fn push(&mut self, name: &str, text: &str, how: &str, page: &mut Page) {
        if self.name != name || self.how != how {
            self.flush(page);
            (self.name, self.how) = (name.to_owned(), how.to_owned());
        }
        self.text.push_str(text);
    }

    fn flush(&mut self, page: &mut Page) {
        let text = std::mem::take(&mut self.text);
        if !text.is_empty() {
            page.stream(&self.name, &text, &self.how);
        }
    }
}

fn show_item(item: Item, notebook: &str, page: &mut Page) {
    match item {
        Item::Output(cell, output, place) => {
            page.comes_from(Address::output(notebook, cell.id.as_str(), place).to_string());
            page.output(&output, &how(notebook, cell.id.as_str()));
        }
        Item::Cleared => page.line("[the outputs above were cleared by the code]"),
        Item::Finished {
            cell,
            outcome,
            count,
            seconds,
        } => {
            // That it raised is said by its traceback.
            let said = match &outcome {
                CellOutcome::KernelDied { death } => format!("the kernel {death}"),
                CellOutcome::TimedOut { limit } => format!("interrupted after {limit} s"),
                outcome => outcome.name().to_owned(),
            };
            page.line(format!(
                "#{} {} In[{count}] {said}, {seconds:.3} s",
                cell.index, cell.id
            ));
        }
        Item::Note(note) => page.line(format!("note: {note}")),
    }
}

//! Edits that a person is to accept.

use std::sync::Arc;

use mcp_jupyter_core::session::SessionRecord;
use serde_json::json;

use super::edits::{EditArguments, prepare, show};
use super::notebook_edit::told;
use crate::commands::diff_texts;
use crate::mcp::answer::{Answer, Refusal};
use crate::mcp::server::Server;
use crate::proposals::Proposal;
use crate::report::plain_diff;

/// Keeps edits with the sources that they are based on; nothing is edited.
pub(super) async fn propose(
    server: &Arc<Server>,
    record: &SessionRecord,
    edits: Vec<EditArguments>,
    revision: Option<&str>,
    client: String,
) -> Result<Answer, Refusal> {
    let (before, mut batch) = prepare(server, record, edits, revision).await?;
    if revision.is_some() {
        batch.revision = Some(before.revision());
    }
    let mut after = (*before).clone();
    after
        .apply_edits(&batch)
        .map_err(|error| Refusal::new(format!("nothing was proposed: {error}")))?;
    // A person decides later: what any of the edits is about has to be as it is now.
    let touched = batch.edits.iter().flat_map(crate::proposals::cells);
    let present = touched.filter_map(|id| Some((id.clone(), before.cell(&id)?.source_digest())));
    let based_on: Vec<_> = present.collect();
    batch.based_on.extend(based_on);
    let diff = plain_diff(&diff_texts(&before.diff(&after), &before, &after));
    let based_on = batch.based_on.len();
    let proposal = Proposal::new(record.path.clone(), client, batch, diff);
    server.proposals.keep(&proposal)?;
    let mut page = server.page();
    page.line(format!(
        "proposal {}: nothing was edited; a person accepts it by `mcp-jupyter proposals accept {}`, unless one of the \
         {based_on} cells that it is about has another source by then",
        proposal.id, proposal.id
    ));
    page.text(&proposal.diff, "`mcp-jupyter proposals show` has all of it");
    let structured = json!({ "proposal_id": proposal.id, "based_on": proposal.batch.based_on });
    let answer = Answer {
        content: page.finish(),
        proposal: Some(proposal.id),
        ..Answer::default()
    };
    Ok(answer.with_structured(structured))
}

/// Edits as a proposal says that a person has accepted.
pub(in crate::mcp) async fn accept(server: &Arc<Server>, id: &str) -> Result<Answer, Refusal> {
    let taken = server.proposals.take(id)?;
    let record = server.sessions.store().open(&taken.proposal.path).await?;
    let before = server.sessions.store().snapshot(&record.id).await?.notebook;
    let edited = taken.apply(&server.sessions).await?;
    taken.remove()?;
    server.remember_state(&edited.notebook);
    let mut page = server.page();
    page.line(format!("the user has accepted proposal {id}"));
    show(&before, &edited, &mut page);
    Ok(told(server, &record, &edited, page).await)
}

/// Throws away what a person has rejected.
pub(in crate::mcp) fn reject(server: &Server, id: &str) -> Result<Answer, Refusal> {
    server.proposals.take(id)?.remove()?;
    let answer = Answer::text(format!("the user has rejected proposal {id}; nothing was edited"));
    Ok(answer.with_structured(json!({ "proposal_id": id })))
}

use std::path::Path;
use std::sync::Arc;

use mcp_jupyter_core::engine::KeptSessions;
use mcp_jupyter_core::session::SessionError;
use mcp_jupyter_core::session::notebook::Notebook;
use serde_json::json;

use crate::args::{ListProposalsArgs, ProposalArgs, ProposalsArgs, ProposalsCommand, StateArgs};
use crate::error::{CliError, chain};
use crate::exit::Exit;
use crate::keeping;
use crate::proposals::{Proposal, Proposals};
use crate::report::{show_data, show_failure, show_json, show_note, show_table};

/// What a person does about edits that agents propose.
pub(crate) async fn proposals(args: ProposalsArgs) -> Result<Exit, CliError> {
    match args.command {
        ProposalsCommand::List(args) => list(&args).await,
        ProposalsCommand::Show(args) => show(&args).await,
        ProposalsCommand::Accept(args) => accept(&args).await,
        ProposalsCommand::Reject(args) => reject(&args),
    }
}

async fn list(args: &ListProposalsArgs) -> Result<Exit, CliError> {
    let proposals = Proposals::of(&args.state)?.list()?;
    if args.json {
        show_json(&proposals);
        return Ok(Exit::Ok);
    }
    let mut rows = Vec::new();
    for proposal in &proposals {
        let state = match stale(&args.state, proposal).await? {
            None => "fits",
            Some(_) => "stale",
        };
        rows.push(vec![
            proposal.id.clone(),
            state.to_owned(),
            proposal.batch.edits.len().to_string(),
            proposal.client.clone(),
            proposal.created.strftime("%Y-%m-%d %H:%M:%SZ").to_string(),
            proposal.path.display().to_string(),
        ]);
    }
    show_table(&["ID", "STATE", "EDITS", "BY", "PROPOSED", "NOTEBOOK"], &rows);
    Ok(Exit::Ok)
}

async fn show(args: &ProposalArgs) -> Result<Exit, CliError> {
    let proposal = Proposals::of(&args.state)?.find(&args.id)?;
    let stale = stale(&args.state, &proposal).await?;
    if args.json {
        show_json(&json!({ "proposal": proposal, "stale": stale }));
        return Ok(Exit::Ok);
    }
    let text = format!(
        "proposal {} by {}, {} edits of {}\n{}",
        proposal.id,
        proposal.client,
        proposal.batch.edits.len(),
        proposal.path.display(),
        proposal.diff
    );
    show_data(text.as_bytes());
    show_note(&match stale {
        None => format!("`mcp-jupyter proposals accept {}` edits the notebook so", proposal.id),
        Some(reason) => format!("it does not fit the notebook any more: {reason}"),
    });
    Ok(Exit::Ok)
}

async fn accept(args: &ProposalArgs) -> Result<Exit, CliError> {
    let taken = Proposals::of(&args.state)?.take(&args.id)?;
    let sessions = keeping::open_existing(&args.state).await?;
    let proposal = &taken.proposal;
    let edited = match taken.apply(&sessions).await {
        Ok(edited) => edited,
        Err(error) => return Ok(refuse(proposal, &error)),
    };
    if args.json {
        show_json(&json!({ "accepted": proposal.id, "revision": edited.revision, "applied": edited.applied }));
    }
    show_note(&format!(
        "accepted {}: {} is edited",
        proposal.id,
        proposal.path.display()
    ));
    taken.remove()?;
    Ok(Exit::Ok)
}

/// Says why a proposal does not fit, with what is there now. It stays open.
fn refuse(proposal: &Proposal, error: &SessionError) -> Exit {
    let present = match error {
        SessionError::Conflict {
            cell: Some(cell),
            present: Some(present),
            ..
        } => format!("\npresent source of {cell}:\n{present}"),
        _ => String::new(),
    };
    let message = format!(
        "proposal {} was not applied, and stays: {}{present}",
        proposal.id,
        chain(error)
    );
    let hint = format!(
        "have the agent propose it anew, or `mcp-jupyter proposals reject {}`",
        proposal.id
    );
    show_failure(&message, Some(&hint), Exit::Failed)
}

fn reject(args: &ProposalArgs) -> Result<Exit, CliError> {
    let taken = Proposals::of(&args.state)?.take(&args.id)?;
    let said = format!("rejected {}; nothing was edited", taken.proposal.id);
    if args.json {
        show_json(&json!({ "rejected": taken.proposal.id }));
    }
    taken.remove()?;
    show_note(&said);
    Ok(Exit::Ok)
}

/// Why a proposal does not fit its notebook any more; nothing where it does.
async fn stale(state: &StateArgs, proposal: &Proposal) -> Result<Option<String>, CliError> {
    let sessions = keeping::open_existing(state).await?;
    let notebook = match notebook(&sessions, &proposal.path).await {
        Ok(notebook) => notebook,
        Err(error) => return Ok(Some(chain(&error))),
    };
    let tried = Arc::unwrap_or_clone(notebook).apply_edits(&proposal.batch);
    Ok(tried.err().map(|error| error.to_string()))
}

async fn notebook(sessions: &KeptSessions, path: &Path) -> Result<Arc<Notebook>, SessionError> {
    match sessions.store().find(path).await? {
        Some(record) => Ok(sessions.store().snapshot(&record.id).await?.notebook),
        None => Ok(Arc::new(Notebook::open(path)?)),
    }
}

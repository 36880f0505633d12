//! What Python kernels are asked about the user's namespace, beside the cells.
//!
//! A helper, `observer.py`, is installed by a silent request. It is an attribute of IPython's shell, so the user's names
//! do not matter to it, and `%reset` does not either.

use crate::kernel::ExecuteRequest;
use crate::model::{Json, JsonMap};
use crate::scheduler::Observation;

const HELPER: &str = include_str!("observer.py");

/// The name of the expression that a cell's request carries.
const NAME: &str = "observation";

/// The way to the helper, by no name of the user's.
const SHELL: &str = "__import__('IPython').get_ipython()";

/// What a reply tells of the namespace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Seen {
    /// What the execution has changed.
    Changes(Observation),
    /// The interrupt came while the helper was looking: it was meant for the cell.
    Interrupted,
    /// The helper has looked and cannot say what has changed; it will be able to say what changes next.
    Unable,
    /// The helper has not looked, because the code has raised, or the helper itself.
    Nothing,
}

/// Installs the helper, which takes the namespace as it is for the state before the next execution.
pub(super) fn install() -> ExecuteRequest {
    // A JSON string is a Python literal too. The helper has its own built-ins, whatever the user does to them.
    let source = serde_json::to_string(HELPER).expect("a string has a JSON form");
    ExecuteRequest::expression(format!(
        "exec({source}, {{'__builtins__': dict(__import__('builtins').__dict__), \
         '__name__': 'mcp_jupyter_observer', 'shell': {SHELL}}})"
    ))
}

/// What a request has to carry for the helper to look after its code. Names that are written are digested even where
/// they are bound to the same object as before.
pub(super) fn look(written: &[String]) -> JsonMap {
    let expression = format!("{SHELL}._mcp_jupyter_observer.observe({})", literal(written));
    JsonMap::from_iter([(NAME.to_owned(), expression.into())])
}

/// A request for nothing but a look.
pub(super) fn look_alone() -> ExecuteRequest {
    ExecuteRequest {
        silent: true,
        user_expressions: look(&[]),
        ..ExecuteRequest::default()
    }
}

/// Deletes names where the helper is installed; it does not count as a change.
pub(super) fn delete(names: &[String]) -> ExecuteRequest {
    ExecuteRequest::expression(format!("{SHELL}._mcp_jupyter_observer.delete({})", literal(names)))
}

/// Deletes names where it is not, in any other Python.
pub(super) fn delete_by_code(names: &[String]) -> ExecuteRequest {
    ExecuteRequest {
        code: format!("[globals().pop(name, None) for name in {}] and None", literal(names)),
        silent: true,
        ..ExecuteRequest::default()
    }
}

fn literal(names: &[String]) -> String {
    serde_json::to_string(names).expect("strings have a JSON form")
}

/// What the content of an `execute_reply` tells.
pub(super) fn seen(reply: &Json) -> Seen {
    let Some(result) = reply.get("user_expressions").and_then(|results| results.get(NAME)) else {
        return Seen::Nothing;
    };
    if text(result, "status") == Some("error".into()) {
        let interrupted = text(result, "ename") == Some("KeyboardInterrupt".into());
        return if interrupted { Seen::Interrupted } else { Seen::Nothing };
    }
    let content = result.get("data").and_then(|data| data.get("application/json"));
    match content {
        Some(content) => observation(content).map_or(Seen::Unable, Seen::Changes),
        None => Seen::Nothing,
    }
}

fn text<'a>(json: &'a Json, name: &str) -> Option<std::borrow::Cow<'a, str>> {
    json.get(name).and_then(Json::as_str)
}

fn observation(content: &Json) -> Option<Observation> {
    let names = |kind| {
        let names = content.get(kind)?.as_array()?.iter();
        Some(names.filter_map(Json::as_str).map(String::from).collect())
    };
    let digests = content.get("digests")?.as_object()?.iter();
    Some(Observation {
        bound: names("bound")?,
        mutated: names("mutated")?,
        deleted: names("deleted")?,
        digests: digests
            .filter_map(|(name, digest)| Some((name.clone(), digest.as_str()?.into_owned())))
            .collect(),
    })
}

#[cfg(test)]
mod tests;

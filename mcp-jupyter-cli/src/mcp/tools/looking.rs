//! Looking into a Python kernel, with code that leaves nothing there.

use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use mcp_jupyter_core::engine::OpenedSession;
use mcp_jupyter_core::kernel::{ExecuteRequest, Kernel, KernelInfo, Message};
use mcp_jupyter_core::model::Json;
use mcp_jupyter_core::session::SessionRecord;
use serde_json::Value;
use tokio::time::{Instant, timeout};

use crate::mcp::answer::Refusal;
use crate::mcp::executing::Launch;
use crate::mcp::server::Server;

const CODE: &str = include_str!("looking.py");

/// How long a run in progress is waited for.
const PATIENCE: Duration = Duration::from_secs(1);

/// How long looking may take, before it is interrupted.
const LONGEST: Duration = Duration::from_secs(30);

/// What the function `function` of the code above gives for these arguments, which follow the shell.
pub(super) async fn look(
    server: &Arc<Server>,
    named: &str,
    function: &str,
    arguments: &[Value],
) -> Result<Value, Refusal> {
    let path = server.notebook_file(named)?;
    let no_kernel =
        || Refusal::new(format!("{named} has no kernel to look into")).with_advice("run or kernel_start starts one");
    let record = server.sessions.store().find(&path).await?.ok_or_else(no_kernel)?;
    let is_executing = server.lane(&record.id).current().is_some_and(|log| !log.has_ended());
    let patience = if is_executing { Duration::ZERO } else { PATIENCE };
    let bound = match server.bind(&record, Launch::Nothing, Instant::now() + patience).await {
        Ok(bound) => bound,
        // One that only reads takes up nothing, and so does not know whose the kernel is.
        Err(refusal) if server.policy.read_only => return Err(refusal),
        Err(refusal) => return aside(server, &record, named, expression(function, arguments), refusal).await,
    };
    let looked = evaluate(&bound.opened, named, function, arguments).await;
    bound.opened.session.detach().await;
    looked
}

/// Looks while a cell is executing, where the kernel can do that; refuses where not.
async fn aside(
    server: &Arc<Server>,
    record: &SessionRecord,
    named: &str,
    expression: String,
    refusal: Refusal,
) -> Result<Value, Refusal> {
    let Some(kernel) = server.sessions.observe(record).await? else {
        return Err(refusal);
    };
    check(&kernel.info(), named)?;
    if !kernel.info().has_subshells() {
        return Err(refusal);
    }
    let asked = kernel.execute_aside(ExecuteRequest::expression(expression));
    match timeout(LONGEST, asked).await {
        Ok(reply) => value(expression_of(&reply?)),
        Err(_) => Err(Refusal::new(format!(
            "looking beside what {named} executes took longer than {} s",
            LONGEST.as_secs()
        ))),
    }
}

/// Refuses kernels that do not understand the code above.
fn check(info: &KernelInfo, named: &str) -> Result<(), Refusal> {
    if info.is_ipython() {
        return Ok(());
    }
    let implementation = info
        .content
        .get("implementation")
        .and_then(Json::as_str)
        .unwrap_or_default();
    let message = format!("the kernel of {named} is {implementation}; only IPython kernels can be looked into");
    Err(Refusal::new(message).with_advice("execute_code can print what you want to see"))
}

async fn evaluate(opened: &OpenedSession, named: &str, function: &str, arguments: &[Value]) -> Result<Value, Refusal> {
    check(&opened.kernel.info(), named)?;
    let request = ExecuteRequest::expression(expression(function, arguments));
    let execution = opened.kernel.execute(request).await?;
    let Ok(found) = timeout(LONGEST, reply(execution.messages)).await else {
        opened.kernel.interrupt().await?;
        return Err(Refusal::new(format!(
            "looking took longer than {} s and was interrupted",
            LONGEST.as_secs()
        )));
    };
    found
}

/// An expression that gives an object whose representation is JSON.
fn expression(function: &str, arguments: &[Value]) -> String {
    let literal = |text: &str| Value::from(text).to_string();
    let arguments = Value::from(arguments).to_string();
    format!(
        "(lambda scope: (exec({}, scope), scope['Answer'](scope[{}](__import__('IPython').get_ipython(), \
         *scope['json'].loads({}))))[1])({{}})",
        literal(CODE),
        literal(function),
        literal(&arguments)
    )
}

async fn reply(
    mut messages: futures_util::stream::BoxStream<'static, Result<Message, mcp_jupyter_core::kernel::KernelError>>,
) -> Result<Value, Refusal> {
    let mut found = None;
    while let Some(message) = messages.next().await {
        let message = message?;
        if message.msg_type() == "execute_reply" {
            found = expression_of(&message);
        }
    }
    value(found)
}

/// What the expression has become, as a reply tells it.
fn expression_of(reply: &Message) -> Option<Json> {
    reply.content.get("user_expressions")?.get("expression").cloned()
}

fn value(found: Option<Json>) -> Result<Value, Refusal> {
    let found = found.ok_or_else(|| Refusal::new("the kernel did not answer"))?;
    let text = found
        .get("data")
        .and_then(|data| data.get("text/plain"))
        .and_then(Json::as_str);
    match text {
        Some(text) => serde_json::from_str(&text)
            .map_err(|error| Refusal::new(format!("the kernel's answer cannot be read: {error}"))),
        None => {
            let field = |name: &str| found.get(name).and_then(Json::as_str).unwrap_or_default().into_owned();
            Err(Refusal::new(format!(
                "looking failed: {}: {}",
                field("ename"),
                field("evalue")
            )))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_strings_are_python_strings() {
        let expression = expression("query", &[Value::from("select '\"\\' -- \u{7f}\u{2028}ä")]);
        assert!(!expression.contains('\n'));
        assert!(expression.contains(r"'IPython'"));
    }
}

//! Looking into a Python kernel, with code that leaves nothing there.

use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use mcp_jupyter_core::engine::OpenedSession;
use mcp_jupyter_core::kernel::{ExecuteRequest, Kernel};
use mcp_jupyter_core::model::Json;
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
    let bound = server.bind(&record, Launch::Nothing, Instant::now() + PATIENCE).await?;
    let looked = evaluate(&bound.opened, named, function, arguments).await;
    bound.opened.session.detach().await;
    looked
}

async fn evaluate(opened: &OpenedSession, named: &str, function: &str, arguments: &[Value]) -> Result<Value, Refusal> {
    let info = opened.kernel.info();
    let language = info
        .content
        .get("implementation")
        .and_then(Json::as_str)
        .unwrap_or_default();
    if language != "ipython" {
        return Err(Refusal::new(format!(
            "the kernel of {named} is {language}; only IPython kernels can be looked into"
        ))
        .with_advice("execute_code can print what you want to see"));
    }
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
    mut messages: futures_util::stream::BoxStream<
        'static,
        Result<mcp_jupyter_core::kernel::Message, mcp_jupyter_core::kernel::KernelError>,
    >,
) -> Result<Value, Refusal> {
    let mut found = None;
    while let Some(message) = messages.next().await {
        let message = message?;
        if message.msg_type() == "execute_reply" {
            found = message
                .content
                .get("user_expressions")
                .and_then(|all| all.get("expression"))
                .cloned();
        }
    }
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

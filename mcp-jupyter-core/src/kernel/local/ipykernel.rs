//! What ipykernel needs to be told so that it loses nothing.

use crate::kernel::{ExecuteRequest, KernelInfo};
use crate::model::{Json, JsonMap};

/// Evaluated in a namespace of its own: the user's stays as it is.
const LIFT_LIMIT: &str = "\
exec('''
try:
    thread = get_ipython().kernel.iopub_thread
    thread.schedule(lambda: thread.socket.set_hwm(0))
except Exception:
    pass
''', {'get_ipython': get_ipython})";

/// The first request to a kernel, where that is ipykernel: it lifts the limit of its queue.
///
/// Its iopub socket drops messages, without a trace, while 1,000 of them (ZeroMQ's default high-water mark) wait for
/// its own sending thread, which on a busy machine happens however fast we read. Without the limit they wait in the
/// kernel's memory. `libzmq` applies a new limit to connections that exist (since 4.2). The request is silent and has
/// no code, only an expression, so nothing of it is to be seen in the kernel.
pub(super) fn lossless_iopub(info: &KernelInfo) -> Option<ExecuteRequest> {
    let implementation = info.content.get("implementation").and_then(Json::as_str)?;
    (implementation == "ipython").then(|| ExecuteRequest {
        silent: true,
        user_expressions: JsonMap::from_iter([("limit".to_owned(), LIFT_LIMIT.into())]),
        ..ExecuteRequest::default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_ipykernel_is_told() {
        let told = |implementation: &str| {
            let content = [("implementation".to_owned(), Json::from(implementation))]
                .into_iter()
                .collect();
            lossless_iopub(&KernelInfo { content }).is_some()
        };
        assert!(told("ipython"));
        assert!(!told("bash_kernel"));
    }
}

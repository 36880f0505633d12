//! What ipykernel needs to be told so that it loses nothing, and ends when it is asked to.

use crate::kernel::{ExecuteRequest, KernelInfo};

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
    silent_expression(info, LIFT_LIMIT)
}

/// Evaluated in a namespace of its own, like the one above.
const HURRY_LAST_FLUSH: &str = "\
exec('''
import sys
for stream in (sys.stdout, sys.stderr):
    if hasattr(stream, 'flush_timeout'):
        stream.flush_timeout = 0.05
''', {})";

/// The last request before a shutdown, where the kernel is ipykernel: it shortens how long a flush may take, in seconds.
///
/// When it ends, ipykernel's control thread flushes its streams while its main thread stops the thread that would do so.
/// Where the main thread is first, the flush waits out its 10 s, and the kernel hangs as long.
pub(super) fn swift_end(info: &KernelInfo) -> Option<ExecuteRequest> {
    silent_expression(info, HURRY_LAST_FLUSH)
}

fn silent_expression(info: &KernelInfo, expression: &str) -> Option<ExecuteRequest> {
    info.is_ipython().then(|| ExecuteRequest::expression(expression))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Json;

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

//! The way from our threads into asyncio: one thread that enters Python, and can be told to stop before Python ends.
//!
//! A thread that is about to enter an interpreter that is being finalized crashes or hangs the process. So no other
//! thread of ours ever enters one, and an `atexit` hook ends this one while everything is still there.

use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use pyo3::prelude::*;

/// A callback to be called in an event loop.
#[derive(Debug)]
pub(crate) struct Wakeup {
    call: Arc<Call>,
    pump: Sender<Work>,
}

#[derive(Debug)]
enum Work {
    Call(Arc<Call>),
    End,
}

#[derive(Debug)]
struct Call {
    event_loop: Py<PyAny>,
    callback: Py<PyAny>,
}

#[derive(Debug)]
struct Pump {
    /// A fork has none of its parent's threads.
    process: u32,
    work: Sender<Work>,
    thread: JoinHandle<()>,
}

static PUMP: Mutex<Option<Pump>> = Mutex::new(None);

fn pump() -> MutexGuard<'static, Option<Pump>> {
    PUMP.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Wakeup {
    pub(crate) fn new(event_loop: Py<PyAny>, callback: Py<PyAny>) -> std::io::Result<Self> {
        let call = Arc::new(Call { event_loop, callback });
        Ok(Self { call, pump: running()? })
    }

    /// Has the callback called soon. Without effect once the interpreter ends.
    pub(crate) fn send(&self) {
        let _ = self.pump.send(Work::Call(Arc::clone(&self.call)));
    }
}

/// Ends the thread, and waits for that.
pub(crate) fn close() {
    let ours = pump().take_if(|pump| pump.process == std::process::id());
    if let Some(pump) = ours {
        let _ = pump.work.send(Work::End);
        let _ = pump.thread.join();
    }
}

fn running() -> std::io::Result<Sender<Work>> {
    let mut pump = pump();
    if let Some(pump) = pump.as_ref().filter(|pump| pump.process == std::process::id()) {
        return Ok(pump.work.clone());
    }
    let (work, received) = channel();
    let thread = std::thread::Builder::new()
        .name("mcp-jupyter-pump".to_owned())
        .spawn(move || work_off(&received))?;
    let process = std::process::id();
    let work_of_pump = work.clone();
    // The thread of a parent must not be joined in its fork.
    std::mem::forget(pump.replace(Pump {
        process,
        work: work_of_pump,
        thread,
    }));
    Ok(work)
}

fn work_off(work: &Receiver<Work>) {
    while let Ok(Work::Call(call)) = work.recv() {
        call.make();
    }
}

impl Call {
    /// A loop that has been closed has nobody who waits.
    fn make(&self) {
        Python::try_attach(|py| {
            let called = self
                .event_loop
                .call_method1(py, "call_soon_threadsafe", (&self.callback,));
            drop(called);
        });
    }
}

//! Starting keepers.

use std::ffi::OsString;
use std::io;
use std::path::PathBuf;
use std::process::Stdio;

use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::process::{ChildStdin, Command};

use super::home::{Home, Order};
use super::keeper::Greeting;
use crate::kernel::KernelError;

/// The program that keeps kernels: it calls [`keep`](super::keep) with the folder that is its last argument.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeeperProgram {
    /// The executable.
    pub program: PathBuf,
    /// Its arguments before the folder.
    pub arguments: Vec<OsString>,
}

impl KeeperProgram {
    /// Starts a keeper, and waits until it has a kernel. What is returned is held by whoever wants it to go on; nothing
    /// where another keeper has the kernel.
    pub(super) async fn start(&self, home: &Home, order: &Order) -> Result<Option<ChildStdin>, KernelError> {
        let action = || format!("start a keeper ({})", self.program.display());
        let mut child = Command::new(&self.program)
            .args(&self.arguments)
            .arg(home.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|error| KernelError::io(action(), error))?;
        let mut tether = child.stdin.take().expect("it is piped");
        let mut greeting = BufReader::new(child.stdout.take().expect("it is piped"));
        let mut line = serde_json::to_vec(order).map_err(|error| KernelError::io(action(), error.into()))?;
        line.push(b'\n');
        let mut said = String::new();
        let exchanged = async {
            tether.write_all(&line).await?;
            greeting.read_line(&mut said).await?;
            // Whoever is not waited for stays a zombie until we end.
            tokio::spawn(async move { child.wait().await });
            serde_json::from_str(&said).map_err(|_| io::Error::other("it has ended without a word"))
        };
        match exchanged
            .await
            .map_err(|error: io::Error| KernelError::io(action(), error))?
        {
            Greeting::Ready => Ok(Some(tether)),
            Greeting::Taken => Ok(None),
            Greeting::Failed(refusal) => Err(refusal.into()),
        }
    }

    /// Has a new keeper take over the kernel of `home`, and gives what holds it, where no other one has it; nothing where
    /// there is nothing to take over.
    pub(super) async fn adopt(&self, home: &Home) -> Result<Option<Option<ChildStdin>>, KernelError> {
        let runs = home.description().is_ok_and(|description| description.kernel_runs());
        if !runs {
            return Ok(None);
        }
        match self.start(home, &Order::Adopt).await {
            // It has ended meanwhile.
            Err(KernelError::Died(_)) => Ok(None),
            adopted => adopted.map(Some),
        }
    }
}

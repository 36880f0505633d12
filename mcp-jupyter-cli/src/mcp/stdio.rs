//! Messages as lines, on standard input and output.
//!
//! rmcp has such a transport, too, but it drops a line that is too long or no JSON without a word, and a client waits for
//! ever.

use std::io;
use std::pin::Pin;
use std::sync::Arc;

use rmcp::RoleServer;
use rmcp::model::ClientJsonRpcMessage;
use rmcp::service::TxJsonRpcMessage;
use rmcp::transport::Transport;
use serde::Serialize;
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::sync::Mutex;
use tokio_util::task::TaskTracker;

use super::messages::{Complaint, IdFinder, MESSAGE_LIMIT};

type Writer = Arc<Mutex<Pin<Box<dyn AsyncWrite + Send>>>>;

/// The transport.
pub(super) struct Lines<R> {
    read: BufReader<R>,
    /// What has come of a line. Reading may be left off and taken up at any byte.
    line: Vec<u8>,
    /// There where the line is too long to be kept.
    finder: Option<IdFinder>,
    write: Writer,
    complaining: TaskTracker,
}

/// What has been read.
enum Read {
    Part,
    Line(Vec<u8>),
    /// The rest of a line that was too long.
    TooLong(IdFinder),
    End,
}

impl<R: AsyncRead + Unpin + Send> Lines<R> {
    pub(super) fn new(read: R, write: impl AsyncWrite + Send + 'static) -> Self {
        Self {
            read: BufReader::new(read),
            line: Vec::new(),
            finder: None,
            write: Arc::new(Mutex::new(Box::pin(write))),
            complaining: TaskTracker::new(),
        }
    }

    async fn read(&mut self) -> io::Result<Read> {
        let available = self.read.fill_buf().await?;
        if available.is_empty() {
            return Ok(Read::End);
        }
        let end = available.iter().position(|byte| *byte == b'\n');
        let part = &available[..end.unwrap_or(available.len())];
        if let Some(finder) = &mut self.finder {
            finder.feed(part);
        } else if self.line.len() + part.len() > MESSAGE_LIMIT {
            let mut finder = IdFinder::default();
            finder.feed(&std::mem::take(&mut self.line));
            finder.feed(part);
            self.finder = Some(finder);
        } else {
            self.line.extend_from_slice(part);
        }
        let consumed = part.len() + usize::from(end.is_some());
        self.read.consume(consumed);
        Ok(match (end, self.finder.take_if(|_| end.is_some())) {
            (None, _) => Read::Part,
            (Some(_), Some(finder)) => Read::TooLong(finder),
            (Some(_), None) => Read::Line(std::mem::take(&mut self.line)),
        })
    }

    /// The message of a line; complains where it is none.
    fn message(&self, line: &[u8]) -> Option<ClientJsonRpcMessage> {
        if line.trim_ascii().is_empty() {
            return None;
        }
        match serde_json::from_slice(line) {
            Ok(message) => Some(message),
            Err(error) => {
                tracing::debug!(%error, "a line is no message");
                if !is_notification(line) {
                    self.complain(&Complaint::about(line));
                }
                None
            }
        }
    }

    fn complain(&self, complaint: &Complaint) {
        // In a task of its own: reading is left off at any time, and half a line must not be written.
        let writing = write_line(Arc::clone(&self.write), complaint.to_json());
        self.complaining.spawn(async move {
            if let Err(error) = writing.await {
                tracing::info!(%error, "a complaint was not heard");
            }
        });
    }
}

/// Nobody waits for an answer to it.
fn is_notification(line: &[u8]) -> bool {
    let value: Value = serde_json::from_slice(line).unwrap_or_default();
    value["method"].is_string() && value.get("id").is_none()
}

async fn write_line(write: Writer, message: impl Serialize) -> io::Result<()> {
    let mut line = serde_json::to_vec(&message)?;
    line.push(b'\n');
    let mut write = write.lock().await;
    write.write_all(&line).await?;
    write.flush().await
}

impl<R: AsyncRead + Unpin + Send> Transport<RoleServer> for Lines<R> {
    type Error = io::Error;

    fn send(&mut self, item: TxJsonRpcMessage<RoleServer>) -> impl Future<Output = io::Result<()>> + Send + 'static {
        write_line(Arc::clone(&self.write), item)
    }

    async fn receive(&mut self) -> Option<ClientJsonRpcMessage> {
        loop {
            match self.read().await {
                Ok(Read::Part) => {}
                Ok(Read::Line(line)) => {
                    if let Some(message) = self.message(&line) {
                        return Some(message);
                    }
                }
                Ok(Read::TooLong(finder)) => self.complain(&Complaint::too_large(finder.id())),
                Ok(Read::End) => break,
                Err(error) => {
                    tracing::error!(%error, "standard input cannot be read");
                    break;
                }
            }
        }
        self.complaining.close();
        self.complaining.wait().await;
        None
    }

    async fn close(&mut self) -> io::Result<()> {
        self.write.lock().await.shutdown().await
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, duplex};

    use super::*;

    /// What is answered by the transport itself, and how many messages come of what was sent.
    async fn sent(bytes: &[u8]) -> (Vec<Value>, usize) {
        let (mut out, write) = duplex(1 << 20);
        let mut lines = Lines::new(bytes, write);
        let mut messages = 0;
        while lines.receive().await.is_some() {
            messages += 1;
        }
        drop(lines);
        let mut answered = String::new();
        out.read_to_string(&mut answered).await.unwrap();
        let answers = answered.lines().map(|line| serde_json::from_str(line).unwrap());
        (answers.collect(), messages)
    }

    #[tokio::test]
    async fn what_is_no_message_is_answered_and_the_next_one_read() {
        let lines = concat!(
            "{ nope\n\n",
            "{\"id\":\"x\",\"jsonrpc\":\"1.0\"}\r\n",
            "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ping\"}\r\n",
            "{\"jsonrpc\":\"2.0\",\"method\":7}\n",
            "{\"jsonrpc\":\"2.0\",\"id\":2,\"method\":\"ping\"}"
        );
        let (answers, messages) = sent(lines.as_bytes()).await;
        let told: Vec<(&Value, &Value)> = answers
            .iter()
            .map(|answer| (&answer["id"], &answer["error"]["code"]))
            .collect();
        assert_eq!(messages, 1);
        assert!(told.contains(&(&Value::Null, &(-32700).into())), "{told:?}");
        assert!(told.contains(&(&"x".into(), &(-32600).into())), "{told:?}");
        assert_eq!(told.len(), 3, "{told:?}");
    }

    #[tokio::test]
    async fn a_line_that_is_too_long_is_answered_by_its_id() {
        let long = "a".repeat(MESSAGE_LIMIT);
        let line = format!(
            "{{\"method\":\"ping\",\"x\":\"{long}\",\"id\":5}}\n{{\"jsonrpc\":\"2.0\",\"id\":6,\"method\":\"ping\"}}\n"
        );
        let (answers, messages) = sent(line.as_bytes()).await;
        assert_eq!((answers.len(), messages), (1, 1));
        assert_eq!(answers[0]["id"], 5);
        let message = answers[0]["error"]["message"].as_str().unwrap();
        assert!(message.contains("16 MiB"), "{message}");
    }
}

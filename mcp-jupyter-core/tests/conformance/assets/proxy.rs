//! Stands between a client and a server, and does harm.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// What the proxy does.
#[derive(Clone, Debug)]
pub(super) enum Harm {
    /// Answers the first so many requests with this status, without asking the server.
    Answer(&'static str, Arc<AtomicU32>),
    /// Ends the first so many responses that are longer than this after as many bytes.
    Cut(usize, Arc<AtomicU32>),
    /// Gives a response in pieces of this size, with a pause after each.
    Slow(usize, Duration),
}

impl Harm {
    pub(super) fn answer(status: &'static str, times: u32) -> Self {
        Self::Answer(status, Arc::new(times.into()))
    }

    pub(super) fn cut(after: usize, times: u32) -> Self {
        Self::Cut(after, Arc::new(times.into()))
    }
}

/// Starts a proxy before the server at this port; gives its own. It ends with the runtime.
pub(super) async fn before(server: u16, harm: Harm) -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        loop {
            let (client, _) = listener.accept().await.unwrap();
            let harm = harm.clone();
            // A connection that breaks is what the proxy is for.
            tokio::spawn(async move { drop(serve(client, server, harm).await) });
        }
    });
    port
}

/// Whether it is still to be done; counts down.
fn is_due(times: &AtomicU32) -> bool {
    times
        .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1))
        .is_ok()
}

/// Serves one request a connection: every response says that it is the last.
async fn serve(mut client: TcpStream, server: u16, harm: Harm) -> std::io::Result<()> {
    let request = read_message(&mut client).await?;
    if let Harm::Answer(status, times) = &harm
        && is_due(times)
    {
        let answer = format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
        return client.write_all(answer.as_bytes()).await;
    }
    let mut upstream = TcpStream::connect(("127.0.0.1", server)).await?;
    upstream.write_all(&closing(&request)).await?;
    let mut response = Vec::new();
    upstream.read_to_end(&mut response).await?;
    match harm {
        Harm::Cut(after, times) if response.len() > after && is_due(&times) => response.truncate(after),
        Harm::Slow(piece, pause) => {
            for part in response.chunks(piece) {
                client.write_all(part).await?;
                tokio::time::sleep(pause).await;
            }
            return client.shutdown().await;
        }
        _ => {}
    }
    client.write_all(&response).await?;
    client.shutdown().await
}

/// The end of the head of a message, if that is whole.
fn head_end(message: &[u8]) -> Option<usize> {
    let end = message.windows(4).position(|window| window == b"\r\n\r\n")?;
    Some(end + 4)
}

/// A request with as much body as its head says.
async fn read_message(stream: &mut TcpStream) -> std::io::Result<Vec<u8>> {
    let mut message = Vec::new();
    loop {
        if let Some(end) = head_end(&message) {
            let head = String::from_utf8_lossy(&message[..end]).to_lowercase();
            let length = head
                .lines()
                .find_map(|line| line.strip_prefix("content-length:")?.trim().parse().ok());
            if message.len() >= end + length.unwrap_or(0) {
                return Ok(message);
            }
        }
        if stream.read_buf(&mut message).await? == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
    }
}

/// The request, asking the server to close when it has answered.
fn closing(request: &[u8]) -> Vec<u8> {
    let end = head_end(request).unwrap() - 2;
    [&request[..end], b"Connection: close\r\n", &request[end..]].concat()
}

use std::io;
use std::os::fd::AsFd;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};
use tokio::net::unix::pipe;

use super::super::home::Order;

/// Standard input: it brings the order, and then its end tells that whoever has given it is gone.
#[derive(Debug)]
pub(super) struct Tether(BufReader<pipe::Receiver>);

impl Tether {
    pub(super) fn grasp() -> io::Result<Self> {
        let stdin = io::stdin().as_fd().try_clone_to_owned()?;
        Ok(Self(BufReader::new(pipe::Receiver::from_owned_fd(stdin)?)))
    }

    pub(super) async fn read_order(&mut self) -> io::Result<Order> {
        let mut line = Vec::new();
        self.0.read_until(b'\n', &mut line).await?;
        Ok(serde_json::from_slice(&line)?)
    }

    /// Returns when the other end is closed.
    pub(super) async fn cut(&mut self) {
        while let Ok(1..) = self.0.read(&mut [0]).await {}
    }
}

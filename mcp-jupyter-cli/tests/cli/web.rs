//! A client of HTTP that sends what it is told to, proper or not.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};

use serde_json::Value;

/// What came back.
#[derive(Debug)]
pub(crate) struct Response {
    pub(crate) status: u16,
    headers: Vec<(String, String)>,
    pub(crate) body: String,
}

impl Response {
    fn parse(raw: &[u8]) -> Self {
        let end = raw.windows(4).position(|window| window == b"\r\n\r\n").unwrap();
        let head = String::from_utf8(raw[..end].to_vec()).unwrap();
        let mut lines = head.lines();
        let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
        let headers: Vec<(String, String)> = lines
            .map(|line| line.split_once(": ").unwrap())
            .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
            .collect();
        let mut response = Self {
            status,
            headers,
            body: String::new(),
        };
        let body = &raw[end + 4..];
        let is_chunked = response.header("transfer-encoding") == Some("chunked");
        let body = if is_chunked { unchunked(body) } else { body.to_vec() };
        response.body = String::from_utf8(body).unwrap();
        response
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut found = self.headers.iter().filter(|(known, _)| known == name);
        found.next().map(|(_, value)| value.as_str())
    }

    /// The messages, of a stream of events or alone.
    pub(crate) fn messages(&self) -> Vec<Value> {
        if self.header("content-type") == Some("text/event-stream") {
            let lines = self.body.lines().filter_map(|line| line.strip_prefix("data:"));
            let data = lines.map(str::trim).filter(|data| !data.is_empty());
            return data.map(|data| serde_json::from_str(data).unwrap()).collect();
        }
        vec![serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))]
    }

    /// The last message, which is the answer.
    pub(crate) fn answer(&self) -> Value {
        self.messages().pop().unwrap_or_else(|| panic!("no answer: {self:?}"))
    }
}

fn unchunked(mut rest: &[u8]) -> Vec<u8> {
    let mut whole = Vec::new();
    while let Some(end) = rest.windows(2).position(|window| window == b"\r\n") {
        let size = usize::from_str_radix(std::str::from_utf8(&rest[..end]).unwrap(), 16).unwrap();
        let Some(chunk) = rest.get(end + 2..end + 2 + size) else {
            break;
        };
        whole.extend_from_slice(chunk);
        rest = rest.get(end + 4 + size..).unwrap_or_default();
    }
    whole
}

/// A request that has been sent.
#[derive(Debug)]
pub(crate) struct Sent(TcpStream);

impl Sent {
    /// Sends one; the connection is closed after the answer.
    pub(crate) fn new(to: SocketAddr, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Self {
        let mut stream = TcpStream::connect(to).unwrap();
        let own = if headers.iter().any(|(name, _)| *name == "Host") {
            String::new()
        } else {
            format!("Host: {to}\r\n")
        };
        let headers: String = headers
            .iter()
            .flat_map(|(name, value)| [name, ": ", value, "\r\n"])
            .collect();
        let length = body.len();
        write!(
            stream,
            "{method} {path} HTTP/1.1\r\nConnection: close\r\nContent-Length: {length}\r\n{own}{headers}\r\n"
        )
        .unwrap();
        stream.write_all(body).unwrap();
        Self(stream)
    }

    /// The answer, whole.
    pub(crate) fn response(mut self) -> Response {
        let mut raw = Vec::new();
        self.0.read_to_end(&mut raw).unwrap();
        Response::parse(&raw)
    }

    /// Waits for the end of the answer.
    pub(crate) fn read_to_end(&mut self) {
        std::io::copy(&mut self.0, &mut std::io::sink()).unwrap();
    }

    /// Reads until this has come, and gives what was read.
    pub(crate) fn read_until(&mut self, wanted: &str) -> String {
        let mut read = Vec::new();
        while !String::from_utf8_lossy(&read).contains(wanted) {
            let mut buffer = [0; 4096];
            let count = self.0.read(&mut buffer).unwrap();
            assert!(count > 0, "the answer ended: {}", String::from_utf8_lossy(&read));
            read.extend_from_slice(&buffer[..count]);
        }
        String::from_utf8(read).unwrap()
    }
}

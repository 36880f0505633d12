//! A connection that can be cut, held up or slowed down, between a client and a service.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

/// Which way bytes go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    ToService,
    ToClient,
}

/// A proxy in front of services that stand in for each other. It ends with the test's process.
pub(super) struct Proxy {
    pub(super) url: String,
    state: Arc<State>,
}

#[derive(Default)]
struct State {
    control: Mutex<Control>,
    changed: Condvar,
}

#[derive(Default)]
struct Control {
    held: Vec<Way>,
    delay: Duration,
    connections: Vec<TcpStream>,
}

impl Proxy {
    pub(super) fn before(services: &[&str]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("grpc://{}", listener.local_addr().unwrap());
        let state: Arc<State> = Arc::default();
        let services: Vec<String> = services.iter().map(|service| (*service).to_owned()).collect();
        let shared = Arc::clone(&state);
        std::thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                // The first that is there; where none is, the client is turned away as well.
                let server = services.iter().find_map(|service| TcpStream::connect(service).ok());
                if let Some(server) = server {
                    connect(&client, &server, &shared);
                }
            }
        });
        Self { url, state }
    }

    /// Cuts all connections, in both directions.
    pub(super) fn cut(&self) {
        for connection in self.state.control.lock().unwrap().connections.drain(..) {
            let _ = connection.shutdown(Shutdown::Both);
        }
    }

    /// Lets nothing through on this way, until told otherwise.
    pub(super) fn hold(&self, way: Way) {
        self.state.control.lock().unwrap().held.push(way);
    }

    pub(super) fn let_go(&self) {
        self.state.control.lock().unwrap().held.clear();
        self.state.changed.notify_all();
    }

    /// Lets everything through only after so long.
    pub(super) fn delay(&self, delay: Duration) {
        self.state.control.lock().unwrap().delay = delay;
    }
}

fn connect(client: &TcpStream, server: &TcpStream, state: &Arc<State>) {
    let both = [client.try_clone().unwrap(), server.try_clone().unwrap()];
    state.control.lock().unwrap().connections.extend(both);
    for (from, to, way) in [(client, server, Way::ToService), (server, client, Way::ToClient)] {
        let (from, to) = (from.try_clone().unwrap(), to.try_clone().unwrap());
        let state = Arc::clone(state);
        std::thread::spawn(move || pass(from, to, way, &state));
    }
}

fn pass(mut from: TcpStream, mut to: TcpStream, way: Way, state: &State) {
    let mut buffer = vec![0; 64 << 10];
    while let Ok(length @ 1..) = from.read(&mut buffer) {
        let control = state.control.lock().unwrap();
        let control = state
            .changed
            .wait_while(control, |control| control.held.contains(&way))
            .unwrap();
        let delay = control.delay;
        drop(control);
        std::thread::sleep(delay);
        if to.write_all(&buffer[..length]).is_err() {
            break;
        }
    }
    let _ = to.shutdown(Shutdown::Both);
    let _ = from.shutdown(Shutdown::Both);
}

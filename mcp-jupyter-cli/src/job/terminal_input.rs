use std::io::IsTerminal;
use std::sync::Arc;

use async_trait::async_trait;
use mcp_jupyter_core::engine::InputSource;
use nix::sys::termios::{LocalFlags, SetArg, Termios, tcgetattr, tcsetattr};
use tokio::sync::Mutex;

use crate::report::Screen;

/// Answers `input()` from the terminal.
#[derive(Debug)]
pub(crate) struct TerminalInput {
    screen: Screen,
    /// Held by whoever waits for a line, the thread that reads it included.
    turn: Arc<Mutex<()>>,
}

impl TerminalInput {
    /// An input source on standard input, where that is a terminal.
    pub(crate) fn source(screen: &Screen) -> Option<Arc<dyn InputSource>> {
        let input = Self {
            screen: screen.clone(),
            turn: Arc::default(),
        };
        std::io::stdin()
            .is_terminal()
            .then(|| Arc::new(input) as Arc<dyn InputSource>)
    }
}

#[async_trait]
impl InputSource for TerminalInput {
    async fn ask(&self, prompt: &str, password: bool) -> Option<String> {
        let turn = Arc::clone(&self.turn).lock_owned().await;
        let _question = self.screen.ask(prompt);
        let _silence = password.then(Silence::begin).flatten();
        let read = tokio::task::spawn_blocking(move || {
            let _turn = turn;
            let mut line = String::new();
            let length = std::io::stdin().read_line(&mut line).unwrap_or(0);
            (length > 0).then(|| line.trim_end_matches(['\n', '\r']).to_owned())
        });
        read.await.ok().flatten()
    }
}

/// While it lives, the terminal does not show what is typed. It ends with the question, also one that nobody answers.
#[derive(Debug)]
struct Silence(Termios);

impl Silence {
    fn begin() -> Option<Self> {
        let before = tcgetattr(std::io::stdin()).ok()?;
        let mut silent = before.clone();
        silent.local_flags.remove(LocalFlags::ECHO);
        silent.local_flags.insert(LocalFlags::ECHONL);
        tcsetattr(std::io::stdin(), SetArg::TCSANOW, &silent).ok()?;
        Some(Self(before))
    }
}

impl Drop for Silence {
    fn drop(&mut self) {
        let _ = tcsetattr(std::io::stdin(), SetArg::TCSANOW, &self.0);
    }
}

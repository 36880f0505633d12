use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use mcp_jupyter_core::kernel::conformance::{Fixture, Snippet};
use mcp_jupyter_core::kernel::memory::{MemoryProvisioner, Reaction, Start};
use mcp_jupyter_core::kernel::{Death, KernelError, KernelProvisioner, KernelSpec, LaunchRequest};

macro_rules! tests {
    ($($name:ident,)*) => {
        $(#[test]
        fn $name() {
            super::run(stringify!($name), &Memory::new());
        })*
    };
}
super::with_every_case!(tests);

#[derive(Debug)]
struct Memory {
    provisioner: MemoryProvisioner,
}

impl Memory {
    fn new() -> Self {
        let provisioner = MemoryProvisioner::new()
            .with_kernelspecs(["other", "memory"])
            .with_responder(respond);
        Self { provisioner }
    }
}

/// What takes more than a line of the interpreter.
fn respond(code: &str) -> Option<Vec<Reaction>> {
    match code.split_once(' ') {
        Some(("count", number)) => {
            let number: usize = number.parse().ok()?;
            Some(
                (0..number)
                    .map(|number| Reaction::stdout(format!("{number}\n")))
                    .collect(),
            )
        }
        Some(("buffer", bytes)) => {
            let bytes: Vec<u8> = bytes.split(' ').map(|byte| byte.parse().unwrap()).collect();
            let content = [("comm_id", "b"), ("target_name", "any")].map(|(key, value)| (key.to_owned(), value.into()));
            Some(vec![Reaction::Publish {
                msg_type: "comm_open".to_owned(),
                content: content.into(),
                buffers: vec![bytes.into()],
            }])
        }
        _ => None,
    }
}

#[async_trait]
impl Fixture for Memory {
    fn provisioner(&self) -> Arc<dyn KernelProvisioner> {
        Arc::new(self.provisioner.clone())
    }

    /// The backend has no other way to find a kernelspec than to launch it.
    async fn find(&self, name: &str) -> Result<KernelSpec, KernelError> {
        let mut request = self.provisioner.request();
        request.spec.name = name.to_owned();
        self.provisioner.launch(request.clone()).await?;
        Ok(request.spec)
    }

    async fn request(&self) -> LaunchRequest {
        self.provisioner.request()
    }

    fn that_dies(&self) -> (Arc<dyn KernelProvisioner>, LaunchRequest) {
        let death = Death {
            exit_code: Some(3),
            ..Death::default()
        };
        let provisioner = self.provisioner.clone().with_start(Start::Die(death));
        (Arc::new(provisioner), self.provisioner.request())
    }

    fn that_hangs(&self) -> (Arc<dyn KernelProvisioner>, LaunchRequest) {
        let provisioner = self.provisioner.clone().with_start(Start::After(Duration::MAX));
        (Arc::new(provisioner), self.provisioner.request())
    }

    async fn all_ended(&self) {
        while self.provisioner.running() > 0 {
            tokio::task::yield_now().await;
        }
    }

    fn code(&self, snippet: Snippet<'_>) -> String {
        match snippet {
            Snippet::Print(text) => format!("print {text}"),
            Snippet::Count(number) => format!("count {number}"),
            Snippet::Raise(evalue) => format!("raise ValueError {evalue}"),
            Snippet::Hang => "print ready\nhang".to_owned(),
            Snippet::Assign(name, value) => format!("{name} = {value}"),
            Snippet::Read(name) => name.to_owned(),
            Snippet::Display(id, text) => format!("display {id} {text}"),
            Snippet::Update(id, text) => format!("update {id} {text}"),
            Snippet::Input(prompt) => format!("input {prompt}"),
            Snippet::Exit => "exit 3".to_owned(),
            Snippet::Kill => "kill 9".to_owned(),
            Snippet::Buffer(bytes) => {
                let bytes: Vec<String> = bytes.iter().map(u8::to_string).collect();
                format!("buffer {}", bytes.join(" "))
            }
            Snippet::CommTargets => "# built in".to_owned(),
            _ => panic!("no code for {snippet:?}"),
        }
    }
}

//! What a scripted kernel does with an `execute_request`.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use futures_core::future::BoxFuture;
use tokio::sync::{mpsc, watch};

use crate::kernel::{Channel, ExecuteRequest};
use crate::model::{Json, JsonMap, MimeBundle};

use super::interpreter::interpret;
use super::life::{Process, Signals};
use super::outlet::{Status, Voice};
use super::script::Reaction;
use super::{object, wait};

/// Answers to requests for input: the request's `msg_id`, and the text.
pub(super) type Answers = mpsc::Receiver<(String, String)>;

/// An exception.
#[derive(Debug)]
struct Raised {
    ename: String,
    evalue: String,
    traceback: Vec<String>,
}

impl Raised {
    fn new(ename: &str, evalue: &str) -> Self {
        Self {
            ename: ename.to_owned(),
            evalue: evalue.to_owned(),
            traceback: vec![format!("{ename}: {evalue}")],
        }
    }

    fn content(&self) -> JsonMap {
        object([
            ("ename", self.ename.as_str().into()),
            ("evalue", self.evalue.as_str().into()),
            (
                "traceback",
                Json::Array(self.traceback.iter().map(|line| line.as_str().into()).collect()),
            ),
        ])
    }
}

/// One execution in progress, or a thread that it has started.
struct Progress<'a> {
    voice: &'a Voice,
    signals: Arc<Signals>,
    /// Tells of interrupts; none where they are ignored.
    interrupted: Option<watch::Receiver<u64>>,
    number: u64,
    execution_count: i64,
    /// Where answers come from, if input may be asked for.
    answers: Option<&'a mut Answers>,
    silent: bool,
    idle_lost: bool,
    after_reply: Vec<Reaction>,
    threads: Vec<Vec<Reaction>>,
}

impl Process {
    pub(super) async fn execute(&mut self, number: u64, request: ExecuteRequest, voice: &Voice) {
        voice.publish_status(Status::Busy).await;
        if number <= self.abort_through {
            voice
                .send(Channel::Shell, "execute_reply", object([("status", "aborted".into())]))
                .await;
            voice.publish_status(Status::Idle).await;
            return self.end(number, voice, false);
        }
        self.begin(&request, voice).await;
        let mut answers = std::mem::replace(&mut self.answers, mpsc::channel(1).1);
        let mut progress = Progress {
            voice,
            signals: Arc::clone(&self.signals),
            interrupted: Some(self.signals.interrupted.subscribe()),
            number,
            execution_count: self.execution_count,
            answers: request.allow_stdin.then_some(&mut answers),
            silent: request.silent,
            idle_lost: false,
            after_reply: Vec::new(),
            threads: Vec::new(),
        };
        let result = self.run_code(&request.code, &mut progress).await;
        let reply = self.reply(&request, result.as_ref().err());
        if let Err(raised) = &result {
            voice.publish("error", raised.content()).await;
            if request.stop_on_error {
                self.abort_through = self.signals.handed_over.load(Ordering::SeqCst);
            }
        }
        voice.send(Channel::Shell, "execute_reply", reply).await;
        let after_reply = std::mem::take(&mut progress.after_reply);
        let _ = self.react_to_all(after_reply, &mut progress).await;
        let idle_lost = progress.idle_lost;
        if !idle_lost {
            voice.publish_status(Status::Idle).await;
        }
        self.answers = answers;
        self.end(number, voice, idle_lost);
    }

    fn end(&self, number: u64, voice: &Voice, idle_lost: bool) {
        // Before its stream ends: whoever has read that must not interrupt this execution any more.
        self.signals.ended.store(number, Ordering::SeqCst);
        voice.finish(idle_lost);
    }

    async fn begin(&mut self, request: &ExecuteRequest, voice: &Voice) {
        if request.silent {
            return;
        }
        if request.store_history {
            self.execution_count += 1;
            self.history.push((self.execution_count, request.code.clone()));
        }
        let content = object([
            ("code", request.code.as_str().into()),
            ("execution_count", self.execution_count.into()),
        ]);
        voice.publish("execute_input", content).await;
    }

    fn reply(&self, request: &ExecuteRequest, raised: Option<&Raised>) -> JsonMap {
        let mut reply = match raised {
            Some(raised) => raised.content(),
            None => object([
                ("payload", Json::Array(Vec::new())),
                ("user_expressions", self.evaluate(&request.user_expressions).into()),
            ]),
        };
        reply.insert(
            "status".to_owned(),
            if raised.is_some() { "error" } else { "ok" }.into(),
        );
        reply.insert("execution_count".to_owned(), self.execution_count.into());
        reply
    }

    /// Every expression is a name.
    fn evaluate(&self, expressions: &JsonMap) -> JsonMap {
        let evaluate = |expression: &Json| {
            let name = expression.as_str().unwrap_or_default();
            match self.names.get(&*name) {
                Some(value) => object([
                    ("status", "ok".into()),
                    ("data", object([("text/plain", value.as_str().into())]).into()),
                    ("metadata", JsonMap::new().into()),
                ]),
                None => {
                    let mut content = Raised::new("NameError", &format!("name '{name}' is not defined")).content();
                    content.insert("status".to_owned(), "error".into());
                    content
                }
            }
        };
        expressions
            .iter()
            .map(|(key, expression)| (key.clone(), evaluate(expression).into()))
            .collect()
    }

    async fn run_code(&mut self, code: &str, progress: &mut Progress<'_>) -> Result<(), Raised> {
        if let Some(reactions) = self.script.response(code) {
            return self.react_to_all(reactions, progress).await;
        }
        for line in code.lines() {
            let reactions = interpret(line, &mut self.names);
            self.react_to_all(reactions, progress).await?;
        }
        Ok(())
    }

    async fn react_to_all(&mut self, reactions: Vec<Reaction>, progress: &mut Progress<'_>) -> Result<(), Raised> {
        for reaction in reactions {
            let result = progress.react(reaction).await;
            for reactions in progress.threads.drain(..) {
                let (voice, signals) = (progress.voice.clone(), Arc::clone(&self.signals));
                self.threads
                    .spawn(run_thread(voice, signals, reactions, progress.execution_count));
            }
            result?;
        }
        Ok(())
    }
}

/// Runs beside executions; ends with the kernel.
async fn run_thread(voice: Voice, signals: Arc<Signals>, reactions: Vec<Reaction>, execution_count: i64) {
    let mut progress = Progress {
        voice: &voice,
        signals,
        interrupted: None,
        number: 0,
        execution_count,
        answers: None,
        silent: false,
        idle_lost: false,
        after_reply: Vec::new(),
        threads: Vec::new(),
    };
    for reaction in reactions {
        if progress.react(reaction).await.is_err() {
            return;
        }
    }
}

impl Progress<'_> {
    fn react(&mut self, reaction: Reaction) -> BoxFuture<'_, Result<(), Raised>> {
        Box::pin(async move {
            match reaction {
                Reaction::Error {
                    ename,
                    evalue,
                    traceback,
                } => {
                    return Err(Raised {
                        ename,
                        evalue,
                        traceback,
                    });
                }
                Reaction::Input { prompt, password } => return self.ask(&prompt, password).await,
                Reaction::Sleep(time) => return self.interruptible(wait(time)).await,
                Reaction::Wait(gate) => return self.interruptible(gate.pass()).await,
                Reaction::Hang => return self.interruptible(std::future::pending()).await,
                Reaction::Repeat(times, reactions) => return self.repeat(times, &reactions).await,
                Reaction::IgnoreInterrupts => self.interrupted = None,
                Reaction::LoseIdle => self.idle_lost = true,
                Reaction::AfterReply(reactions) => self.after_reply.extend(reactions),
                Reaction::Background(reactions) => self.threads.push(reactions),
                Reaction::Die(death) => {
                    self.signals.kill(death);
                    std::future::pending::<()>().await;
                }
                reaction => self.publish(reaction).await,
            }
            Ok(())
        })
    }

    async fn repeat(&mut self, times: usize, reactions: &[Reaction]) -> Result<(), Raised> {
        for _ in 0..times {
            for reaction in reactions {
                self.react(reaction.clone()).await?;
            }
            // An interrupt comes between two statements as well.
            self.interruptible(std::future::ready(())).await?;
        }
        Ok(())
    }

    /// Publishes what the reaction says.
    async fn publish(&self, reaction: Reaction) {
        let (msg_type, content) = match reaction {
            Reaction::Stream { name, text } => ("stream", object([("name", name.into()), ("text", text.into())])),
            Reaction::Display { data, display_id } => ("display_data", display(data, display_id)),
            Reaction::UpdateDisplay { display_id, data } => ("update_display_data", display(data, Some(display_id))),
            Reaction::Result(_) if self.silent => return,
            Reaction::Result(data) => {
                let mut content = display(data, None);
                content.insert("execution_count".to_owned(), self.execution_count.into());
                ("execute_result", content)
            }
            Reaction::ClearOutput { wait } => ("clear_output", object([("wait", wait.into())])),
            Reaction::Publish {
                msg_type,
                content,
                buffers,
            } => {
                let content = self.voice.fill_in(content);
                return self.voice.publish_with(&msg_type, content, buffers).await;
            }
            Reaction::Unsolicited { msg_type, content } => return self.voice.publish_unsolicited(&msg_type, content),
            _ => return,
        };
        self.voice.publish(msg_type, content).await;
    }

    async fn interruptible(&mut self, work: impl Future<Output = ()>) -> Result<(), Raised> {
        let Some(interrupted) = &mut self.interrupted else {
            work.await;
            return Ok(());
        };
        let number = self.number;
        let hit = tokio::select! {
            biased;
            hit = interrupted.wait_for(|hit| *hit == number) => hit.is_ok(),
            () = work => false,
        };
        if hit {
            // One interrupt raises once; what is done after it may be waited for.
            self.interrupted = None;
            return Err(Raised::new("KeyboardInterrupt", ""));
        }
        Ok(())
    }

    async fn ask(&mut self, prompt: &str, password: bool) -> Result<(), Raised> {
        let Some(answers) = self.answers.take() else {
            return Err(Raised::new(
                "StdinNotImplementedError",
                "the frontend does not support input requests",
            ));
        };
        let content = object([("prompt", prompt.into()), ("password", password.into())]);
        let msg_id = self.voice.send(Channel::Stdin, "input_request", content).await;
        let mut answer = None;
        let awaited = async {
            while let Some((parent, text)) = answers.recv().await {
                if parent == msg_id {
                    answer = Some(text);
                    break;
                }
            }
        };
        let result = self.interruptible(awaited).await;
        self.answers = Some(answers);
        if let Some(text) = answer {
            self.publish(Reaction::stdout(format!("{text}\n"))).await;
        }
        result
    }
}

fn display(data: MimeBundle, display_id: Option<String>) -> JsonMap {
    let transient = display_id
        .map(|id| ("display_id".to_owned(), id.into()))
        .into_iter()
        .collect::<JsonMap>();
    object([
        ("data", data.0.into()),
        ("metadata", JsonMap::new().into()),
        ("transient", transient.into()),
    ])
}

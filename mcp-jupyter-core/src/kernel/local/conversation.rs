//! A kernel whose sockets we have: what comes is routed, and nothing of it is missed.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;

use crate::kernel::{Channel, Death, KernelError};
use crate::model::{Json, JsonMap};

use super::channels::{Channels, Replies};
use super::dialogue::{Carrier, Dialogue, content, watch_for_idle};
use super::generation::Shared;
use super::ipykernel::lossless_iopub;
use super::router::Router;
use super::tap::Tap;
use super::wire::Codec;

/// How often a request is repeated whose own status shows that the subscription is live.
const PROBE_INTERVAL: Duration = Duration::from_millis(300);

/// The channels of one kernel process, what is said on them, and who waits for what.
#[derive(Debug)]
pub(super) struct Conversation {
    pub(super) channels: Arc<Channels>,
    pub(super) dialogue: Arc<Dialogue>,
    pub(super) tap: Option<Arc<dyn Tap>>,
}

impl Conversation {
    pub(super) fn new(carrier: Arc<dyn Carrier>, channels: Arc<Channels>, codec: Codec, shared: &Shared) -> Self {
        let router = Router::new(shared.unsolicited.clone(), shared.state.clone());
        Self {
            channels,
            dialogue: Arc::new(Dialogue::new(carrier, router, codec)),
            tap: shared.tap(),
        }
    }

    /// Routes iopub until the kernel is dead and its last message read, and replies until the channels are closed. Holds
    /// no reference that keeps the kernel alive.
    pub(super) fn spawn_routing(&self, replies: Replies, death: impl Future<Output = Death> + Send + 'static) {
        let (router, codec) = (Arc::clone(&self.dialogue.router), Arc::clone(&self.dialogue.codec));
        let (queue, tap) = (Arc::clone(&self.channels.iopub), self.tap.clone());
        let finish = self.channels.finisher();
        let replied = self.spawn_reply_routing(replies);
        tokio::spawn(async move {
            let last = async {
                let death = death.await;
                router.note_death(&death);
                finish.finish().await;
                death
            };
            let (death, ()) = tokio::join!(last, router.route_iopub(&codec, &queue, tap.as_deref()));
            if let Some(tap) = tap {
                let _ = replied.await;
                tap.died(&death);
            }
            router.end_executions(death).await;
        });
    }

    fn spawn_reply_routing(&self, replies: Replies) -> tokio::task::JoinHandle<()> {
        let (router, codec) = (Arc::clone(&self.dialogue.router), Arc::clone(&self.dialogue.codec));
        let (weak, tap) = (Arc::downgrade(&self.dialogue), self.tap.clone());
        tokio::spawn(async move {
            let replied = |msg_id| drop(tokio::spawn(watch_for_idle(weak.clone(), msg_id)));
            router.route_replies(&codec, replies, replied, tap.as_deref()).await;
            router.end_requests();
        })
    }

    /// Learns what the kernel says about itself, and makes sure that everything it publishes reaches us.
    ///
    /// A kernel that follows JEP 65 welcomes the subscription to a topic of our own; the status of our own request,
    /// seen on iopub, shows the same for any other. Its first status may be published before it has noticed us.
    pub(super) async fn handshake(&self, channel: Channel) -> Result<(), KernelError> {
        let (dialogue, router) = (&self.dialogue, &self.dialogue.router);
        let (live_tx, mut live) = mpsc::channel(1);
        let topic = format!("probe-{}", uuid::Uuid::new_v4());
        router.expect_sign(&topic, live_tx.clone());
        self.channels.subscribe(&topic, true).await;
        let probe = || dialogue.letter(channel, "kernel_info_request", JsonMap::new());
        let letter = probe();
        router.expect_sign(&letter.msg_id, live_tx.clone());
        if let Json::Object(content) = dialogue.carry_for_reply(letter).await?.content {
            dialogue.learn(content);
        }
        while tokio::time::timeout(PROBE_INTERVAL, live.recv()).await.is_err() {
            let letter = probe();
            router.expect_sign(&letter.msg_id, live_tx.clone());
            dialogue.carry(letter).await?;
        }
        router.forget_signs();
        self.channels.subscribe(&topic, false).await;
        Ok(())
    }

    /// Its reply need not be awaited: whatever is executed comes after it.
    pub(super) async fn lift_limits(&self) -> Result<(), KernelError> {
        let Some(request) = lossless_iopub(&self.dialogue.info()) else {
            return Ok(());
        };
        let (content, _) = content(request);
        let letter = self.dialogue.letter(Channel::Shell, "execute_request", content);
        self.dialogue.carry(letter).await
    }
}

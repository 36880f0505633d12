//! What a service counts, for Prometheus.

use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::Registry;
use tonic::Code;

/// All that one service counts.
#[derive(Debug)]
pub(crate) struct Metrics {
    registry: Registry,
    calls: Family<Call, Counter>,
    seconds: Family<Method, Histogram>,
    pub(crate) runs: Gauge,
    pub(crate) dispatches: Counter,
    ended: Family<Ended, Counter>,
    pub(crate) bytes_in: Counter,
    pub(crate) bytes_out: Counter,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Call {
    method: String,
    code: String,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Method {
    method: String,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Ended {
    outcome: &'static str,
}

/// From a quarter of a millisecond to eight seconds.
fn histogram() -> Histogram {
    Histogram::new(exponential_buckets(0.000_25, 2.0, 16))
}

impl Default for Metrics {
    fn default() -> Self {
        let mut metrics = Self {
            registry: Registry::with_prefix("mcp_jupyter"),
            calls: Family::default(),
            seconds: Family::new_with_constructor(histogram),
            runs: Gauge::default(),
            dispatches: Counter::default(),
            ended: Family::default(),
            bytes_in: Counter::default(),
            bytes_out: Counter::default(),
        };
        metrics.register();
        metrics
    }
}

impl Metrics {
    fn register(&mut self) {
        let registry = &mut self.registry;
        registry.register("calls", "Calls, by method and gRPC status code", self.calls.clone());
        registry.register(
            "call_seconds",
            "How long calls took until their answer began",
            self.seconds.clone(),
        );
        registry.register(
            "runs",
            "Runs that are held for clients, those in progress and those that wait",
            self.runs.clone(),
        );
        registry.register("dispatches", "Cells that were handed out", self.dispatches.clone());
        registry.register("runs_ended", "Runs that have ended, by outcome", self.ended.clone());
        registry.register(
            "asset_bytes_received",
            "Bytes of assets that have come in",
            self.bytes_in.clone(),
        );
        registry.register(
            "asset_bytes_sent",
            "Bytes of assets that have gone out",
            self.bytes_out.clone(),
        );
    }

    /// A call was answered.
    pub(super) fn called(&self, method: &str, code: Code, took: Duration) {
        let method = method.to_owned();
        self.seconds
            .get_or_create(&Method { method: method.clone() })
            .observe(took.as_secs_f64());
        let code = format!("{code:?}");
        self.calls.get_or_create(&Call { method, code }).inc();
    }

    /// A run has ended.
    pub(crate) fn ended(&self, outcome: &'static str) {
        self.ended.get_or_create(&Ended { outcome }).inc();
    }

    /// All of it, as Prometheus reads it.
    pub(super) fn text(&self) -> String {
        let mut text = String::new();
        encode(&mut text, &self.registry).expect("a string takes any text");
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_counted_is_told() {
        let metrics = Metrics::default();
        metrics.called("Sync", Code::NotFound, Duration::from_millis(3));
        metrics.ended("completed");
        metrics.runs.inc();
        let text = metrics.text();
        for line in [
            "mcp_jupyter_calls_total{method=\"Sync\",code=\"NotFound\"} 1",
            "mcp_jupyter_call_seconds_count{method=\"Sync\"} 1",
            "mcp_jupyter_runs_ended_total{outcome=\"completed\"} 1",
            "mcp_jupyter_runs 1",
        ] {
            assert!(text.contains(line), "{line} is missing in {text}");
        }
    }
}

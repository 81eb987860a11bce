//! What `/metrics` shows, in Prometheus' text format.

use prometheus::{
    Encoder, Histogram, HistogramOpts, HistogramVec, IntCounterVec, IntGauge, Opts, Registry,
    TextEncoder,
};

/// Seconds: from what a passage takes to what nobody waits for.
const SECONDS: [f64; 16] = [
    0.000_25, 0.000_5, 0.001, 0.002, 0.004, 0.008, 0.016, 0.03, 0.06, 0.12, 0.25, 0.5, 1.0, 2.5,
    10.0, 30.0,
];

/// The counters of a server. Labels are routes, models and kinds of errors: what a client sends
/// becomes none.
pub struct Metrics {
    registry: Registry,
    /// Answers by route and status.
    pub requests: IntCounterVec,
    /// Time from a request's head to its answer, by route.
    pub seconds: HistogramVec,
    /// Time between a place in the queue and the first thread.
    pub queue_seconds: Histogram,
    /// Texts computed, by model.
    pub documents: IntCounterVec,
    /// Tokens computed, by model.
    pub tokens: IntCounterVec,
    /// Texts that were cut, by model.
    pub truncated: IntCounterVec,
    /// Requests refused or given up, by reason.
    pub rejected: IntCounterVec,
    /// Requests whose client went away.
    pub cancelled: prometheus::IntCounter,
    /// Model files looked at again, by model and outcome.
    pub reloads: IntCounterVec,
    waiting: IntGauge,
    taken: IntGauge,
    /// Open connections.
    pub connections: IntGauge,
}

impl Metrics {
    /// All at zero.
    ///
    /// # Errors
    /// None that a test would not show: names are constants.
    pub fn new() -> Result<Metrics, prometheus::Error> {
        let registry = Registry::new();
        let counter = |name: &str, help: &str, labels: &[&str]| {
            let counter = IntCounterVec::new(Opts::new(format!("lanerank_{name}"), help), labels)?;
            registry.register(Box::new(counter.clone()))?;
            Ok::<_, prometheus::Error>(counter)
        };
        let gauge = |name: &str, help: &str| {
            let gauge = IntGauge::new(format!("lanerank_{name}"), help)?;
            registry.register(Box::new(gauge.clone()))?;
            Ok::<_, prometheus::Error>(gauge)
        };
        let opts = |name: &str, help: &str| {
            HistogramOpts::new(format!("lanerank_{name}"), help).buckets(SECONDS.to_vec())
        };
        let seconds = HistogramVec::new(
            opts(
                "request_seconds",
                "Time from a request's head to its answer",
            ),
            &["route"],
        )?;
        let queue_seconds = Histogram::with_opts(opts(
            "queue_seconds",
            "Time until a thread began with a request",
        ))?;
        registry.register(Box::new(seconds.clone()))?;
        registry.register(Box::new(queue_seconds.clone()))?;
        let cancelled = prometheus::IntCounter::new(
            "lanerank_cancelled_total",
            "Requests whose client went away before the answer",
        )?;
        registry.register(Box::new(cancelled.clone()))?;
        #[cfg(target_os = "linux")]
        registry.register(Box::new(
            prometheus::process_collector::ProcessCollector::for_self(),
        ))?;
        Ok(Metrics {
            requests: counter("requests_total", "Answers", &["route", "status"])?,
            seconds,
            queue_seconds,
            documents: counter("documents_total", "Texts computed", &["model"])?,
            tokens: counter("tokens_total", "Tokens computed", &["model"])?,
            truncated: counter("truncated_total", "Texts that were cut", &["model"])?,
            rejected: counter(
                "rejected_total",
                "Requests refused or given up",
                &["reason"],
            )?,
            cancelled,
            reloads: counter(
                "reloads_total",
                "Model files looked at again",
                &["model", "outcome"],
            )?,
            waiting: gauge("queue_depth", "Requests with work that no thread has begun")?,
            taken: gauge("requests_in_flight", "Requests that wait or are computed")?,
            connections: gauge("connections", "Open connections")?,
            registry,
        })
    }

    /// The page.
    pub fn page(&self, waiting: usize, taken: usize) -> Result<String, prometheus::Error> {
        let gauge = |value: usize| i64::try_from(value).unwrap_or(i64::MAX);
        self.waiting.set(gauge(waiting));
        self.taken.set(gauge(taken));
        let mut page = String::new();
        TextEncoder::new().encode_utf8(&self.registry.gather(), &mut page)?;
        Ok(page)
    }

    /// The page's media type.
    pub fn media_type() -> String {
        TextEncoder::new().format_type().to_owned()
    }
}

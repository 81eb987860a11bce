//! The counters behind `/metrics`, in Prometheus' text format.

use prometheus::{
    Encoder, Histogram, HistogramOpts, HistogramVec, IntCounterVec, IntGauge, Opts, Registry,
    TextEncoder,
};

/// Bucket bounds in seconds: from one passage's time to beyond any client's patience.
const SECONDS: [f64; 16] = [
    0.000_25, 0.000_5, 0.001, 0.002, 0.004, 0.008, 0.016, 0.03, 0.06, 0.12, 0.25, 0.5, 1.0, 2.5,
    10.0, 30.0,
];

/// The counters of a server. Labels are routes, models and kinds of errors; nothing that a client
/// sends becomes a label.
pub(crate) struct Metrics {
    registry: Registry,
    /// Answers by route and status.
    pub(crate) requests: IntCounterVec,
    /// Time from a request's head to its answer, by route.
    pub(crate) seconds: HistogramVec,
    /// Time from taking a slot in the queue until a thread starts.
    pub(crate) queue_seconds: Histogram,
    /// Texts computed, by model.
    pub(crate) documents: IntCounterVec,
    /// Tokens computed, by model.
    pub(crate) tokens: IntCounterVec,
    /// Truncated texts, by model.
    pub(crate) truncated: IntCounterVec,
    /// Requests refused or abandoned, by reason.
    pub(crate) rejected: IntCounterVec,
    /// Requests whose client disconnected.
    pub(crate) cancelled: prometheus::IntCounter,
    /// Model files opened again, by model and outcome.
    pub(crate) reloads: IntCounterVec,
    waiting: IntGauge,
    in_flight: IntGauge,
    /// Open connections.
    pub(crate) connections: IntGauge,
}

impl Metrics {
    /// All counters at zero.
    ///
    /// # Errors
    /// Only for a wrong or duplicate name; names are constants, so any test would fail.
    pub(crate) fn new() -> Result<Metrics, prometheus::Error> {
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
            "Time until a thread starts a request",
        ))?;
        registry.register(Box::new(seconds.clone()))?;
        registry.register(Box::new(queue_seconds.clone()))?;
        let cancelled = prometheus::IntCounter::new(
            "lanerank_cancelled_total",
            "Requests whose client disconnected before the answer",
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
            truncated: counter("truncated_total", "Truncated texts", &["model"])?,
            rejected: counter(
                "rejected_total",
                "Requests refused or abandoned",
                &["reason"],
            )?,
            cancelled,
            reloads: counter(
                "reloads_total",
                "Model files opened again",
                &["model", "outcome"],
            )?,
            waiting: gauge(
                "queue_depth",
                "Requests with work that no thread has started",
            )?,
            in_flight: gauge("requests_in_flight", "Requests waiting or being computed")?,
            connections: gauge("connections", "Open connections")?,
            registry,
        })
    }

    /// The page, given the pool's present load.
    pub(crate) fn page(
        &self,
        waiting: usize,
        in_flight: usize,
    ) -> Result<String, prometheus::Error> {
        let gauge = |value: usize| i64::try_from(value).unwrap_or(i64::MAX);
        self.waiting.set(gauge(waiting));
        self.in_flight.set(gauge(in_flight));
        let mut page = String::new();
        TextEncoder::new().encode_utf8(&self.registry.gather(), &mut page)?;
        Ok(page)
    }

    /// The page's media type.
    pub(crate) fn media_type() -> String {
        TextEncoder::new().format_type().to_owned()
    }
}

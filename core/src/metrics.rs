//! Every metric of the process, by name: Argo's names for its dashboards, ours beside them.
//! Families are registered once; label values come from specs and enums, never from error texts.

mod control;
mod register;

use prometheus::{
    Encoder as _, Histogram, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec,
    Registry, TextEncoder,
};

use self::control::Families;
pub use self::control::{LookMetrics, QueueMetrics, ReadyMetrics, ReviewMetrics};
use self::register::Register;

/// The metric families of one process. Cloning shares them.
#[derive(Clone)]
pub struct Metrics {
    registry: Registry,
    sent: IntCounterVec,
    sent_failed: IntCounterVec,
    processing_failed: IntCounterVec,
    dropped: IntCounterVec,
    running: IntGaugeVec,
    processing: HistogramVec,
    action_triggered: IntCounterVec,
    action_failed: IntCounterVec,
    action_retries_failed: IntCounterVec,
    action: HistogramVec,
    accounted: IntCounterVec,
    pending: IntGaugeVec,
    redelivered: IntCounterVec,
    bus_up: IntGaugeVec,
    bus_lost: IntGaugeVec,
    control: Families,
}

/// Counters of one event of one EventSource.
#[derive(Clone)]
pub struct SourceMetrics {
    /// Events that the bus has stored.
    pub sent: IntCounter,
    /// Events that the bus did not take.
    pub sent_failed: IntCounter,
    /// Requests or messages that became no event, for any reason but the filter.
    pub processing_failed: IntCounter,
    /// Events that the source's own filter dropped.
    pub dropped: IntCounter,
    /// Seconds from receipt to the bus's answer.
    pub processing: Histogram,
}

/// Counters of one trigger of one Sensor.
///
/// The accounting identity (DESIGN, guarantee 2): `accepted = fired + filtered + pending + dead`, of all replicas together;
/// in one of several, `elsewhere` is on the right side too.
#[derive(Clone)]
pub struct TriggerMetrics {
    /// Successful executions.
    pub triggered: IntCounter,
    /// Failed attempts.
    pub failed: IntCounter,
    /// Executions given up after all attempts.
    pub retries_failed: IntCounter,
    /// Seconds of one attempt.
    pub action: Histogram,
    /// Events taken from the bus, each once however often it was delivered.
    pub accepted: IntCounter,
    /// Events that took part in a firing that succeeded.
    pub fired: IntCounter,
    /// Events that no dependency let through.
    pub filtered: IntCounter,
    /// Events given up: unreadable, failed after all attempts, or replaced in a condition by a newer one.
    pub dead: IntCounter,
    /// Events that began here and that another replica has ended.
    pub elsewhere: IntCounter,
    /// Events held for a condition or in work now.
    pub pending: IntGauge,
    /// Deliveries of an event that was already accounted for.
    pub redelivered: IntCounter,
}

const SOURCE: [&str; 3] = ["namespace", "eventsource_name", "event_name"];
const TRIGGER: [&str; 3] = ["namespace", "sensor_name", "trigger_name"];

impl Metrics {
    /// Registers every family.
    ///
    /// # Errors
    /// Only when two families have one name, which a test excludes.
    pub fn try_new(version: &str) -> Result<Self, prometheus::Error> {
        let registry = Registry::new();
        let register = Register(&registry);
        let metrics = Self {
            sent: register.counter(
                "argo_events_events_sent_total",
                "Events that the bus has stored.",
                &SOURCE,
            )?,
            sent_failed: register.counter(
                "argo_events_events_sent_failed_total",
                "Events that the bus did not take.",
                &SOURCE,
            )?,
            processing_failed: register.counter(
                "argo_events_events_processing_failed_total",
                "Requests or messages that became no event.",
                &SOURCE,
            )?,
            dropped: register.counter(
                "tiphys_events_dropped_total",
                "Events dropped by the filter of their source.",
                &SOURCE,
            )?,
            running: register.gauge(
                "argo_events_event_service_running_total",
                "Events that are being listened for.",
                &["namespace", "eventsource_name"],
            )?,
            processing: register.histogram(
                "tiphys_event_processing_duration_seconds",
                "Time from receipt to the bus's answer.",
                &SOURCE,
            )?,
            action_triggered: register.counter(
                "argo_events_action_triggered_total",
                "Successful trigger executions.",
                &TRIGGER,
            )?,
            action_failed: register.counter(
                "argo_events_action_failed_total",
                "Failed trigger attempts.",
                &TRIGGER,
            )?,
            action_retries_failed: register.counter(
                "argo_events_action_retries_failed_total",
                "Trigger executions given up after all attempts.",
                &TRIGGER,
            )?,
            action: register.histogram(
                "tiphys_action_duration_seconds",
                "Time of one trigger attempt.",
                &TRIGGER,
            )?,
            accounted: register.counter(
                "tiphys_trigger_events_total",
                "Events by what became of them: accepted = fired + filtered + dead + elsewhere + tiphys_trigger_events_pending.",
                &["namespace", "sensor_name", "trigger_name", "outcome"],
            )?,
            pending: register.gauge(
                "tiphys_trigger_events_pending",
                "Events held for a condition or in work now.",
                &TRIGGER,
            )?,
            redelivered: register.counter(
                "tiphys_trigger_redelivered_total",
                "Deliveries of an event already accounted for.",
                &TRIGGER,
            )?,
            bus_up: register.gauge(
                "tiphys_bus_connected",
                "1 while the bus can be reached.",
                &["namespace", "bus", "kind", "durability"],
            )?,
            bus_lost: register.gauge(
                "tiphys_bus_events_lost",
                "Events that a bus removed by its limits before a consumer had taken them.",
                &["namespace", "bus"],
            )?,
            control: Families::try_new(&register)?,
            registry: registry.clone(),
        };
        let build = register.gauge(
            "build_info",
            "The version that runs.",
            &["version", "goversion", "goarch", "commit"],
        )?;
        build
            .with_label_values(&[version, "", std::env::consts::ARCH, ""])
            .set(1);
        Ok(metrics)
    }

    /// The counters of one event, visible at zero from now on.
    #[must_use]
    pub fn source(&self, namespace: &str, source: &str, event: &str) -> SourceMetrics {
        let labels = [namespace, source, event];
        SourceMetrics {
            sent: self.sent.with_label_values(&labels),
            sent_failed: self.sent_failed.with_label_values(&labels),
            processing_failed: self.processing_failed.with_label_values(&labels),
            dropped: self.dropped.with_label_values(&labels),
            processing: self.processing.with_label_values(&labels),
        }
    }

    /// How many events of an EventSource are being listened for.
    #[must_use]
    pub fn running(&self, namespace: &str, source: &str) -> IntGauge {
        self.running.with_label_values(&[namespace, source])
    }

    /// The counters of one trigger, visible at zero from now on.
    #[must_use]
    pub fn trigger(&self, namespace: &str, sensor: &str, trigger: &str) -> TriggerMetrics {
        let labels = [namespace, sensor, trigger];
        let outcome = |outcome| {
            self.accounted
                .with_label_values(&[namespace, sensor, trigger, outcome])
        };
        TriggerMetrics {
            triggered: self.action_triggered.with_label_values(&labels),
            failed: self.action_failed.with_label_values(&labels),
            retries_failed: self.action_retries_failed.with_label_values(&labels),
            action: self.action.with_label_values(&labels),
            accepted: outcome("accepted"),
            fired: outcome("fired"),
            filtered: outcome("filtered"),
            dead: outcome("dead"),
            elsewhere: outcome("elsewhere"),
            pending: self.pending.with_label_values(&labels),
            redelivered: self.redelivered.with_label_values(&labels),
        }
    }

    /// 1 while the bus can be reached.
    #[must_use]
    pub fn bus_up(&self, namespace: &str, bus: &str, kind: &str, durability: &str) -> IntGauge {
        self.bus_up
            .with_label_values(&[namespace, bus, kind, durability])
    }

    /// How many events a bus removed by its limits before a consumer had taken them.
    #[must_use]
    pub fn bus_lost(&self, namespace: &str, bus: &str) -> IntGauge {
        self.bus_lost.with_label_values(&[namespace, bus])
    }

    /// Everything in Prometheus' text format.
    ///
    /// # Errors
    /// Only when a family holds something that the format cannot say.
    pub fn text(&self) -> Result<String, prometheus::Error> {
        let mut out = Vec::new();
        TextEncoder::new().encode(&self.registry.gather(), &mut out)?;
        Ok(String::from_utf8_lossy(&out).into_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_are_visible_at_zero_under_argos_names() {
        let metrics = Metrics::try_new("0.0.0").unwrap();
        metrics.source("ns", "es", "ev").sent.inc();
        drop(metrics.trigger("ns", "s", "t"));
        let text = metrics.text().unwrap();
        for line in [
            r#"argo_events_events_sent_total{event_name="ev",eventsource_name="es",namespace="ns"} 1"#,
            r#"argo_events_events_sent_failed_total{event_name="ev",eventsource_name="es",namespace="ns"} 0"#,
            r#"argo_events_action_triggered_total{namespace="ns",sensor_name="s",trigger_name="t"} 0"#,
            r#"tiphys_trigger_events_total{namespace="ns",outcome="dead",sensor_name="s",trigger_name="t"} 0"#,
        ] {
            assert!(text.contains(line), "{line}\n{text}");
        }
    }
}

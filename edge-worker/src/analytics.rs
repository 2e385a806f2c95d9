//! Workers Analytics Engine, where there is a binding: one data point for each run of a tick or a message.

use worker::{AnalyticsEngineDataPointBuilder, Env};

use crate::run::Report;

/// The binding in wrangler.toml.
const BINDING: &str = "ANALYTICS";

/// Writes what came of a run. Without the binding nothing happens.
pub(crate) fn write(report: &Report, env: &Env) {
    let Ok(dataset) = env.analytics_engine(BINDING) else {
        return;
    };
    let point = AnalyticsEngineDataPointBuilder::new()
        .indexes([report.trigger.as_str()])
        .add_blob(report.summary.run_id.as_str())
        .add_blob(report.outcome());
    let point = numbers(report)
        .into_iter()
        .fold(point, AnalyticsEngineDataPointBuilder::add_double);
    // It is written in the background; a point lost is a point lost.
    drop(dataset.write_data_point(&point.build()));
}

/// In this order: claimed, refreshed, expired, failed, still due, milliseconds.
fn numbers(report: &Report) -> [f64; 6] {
    let tally = &report.tally;
    #[expect(clippy::cast_precision_loss, reason = "a run takes less than a minute")]
    let duration = report.summary.duration_ms as f64;
    [
        tally.claimed.into(),
        tally.refreshed.into(),
        tally.expired.into(),
        tally.failed.into(),
        report.summary.remaining.unwrap_or_default().into(),
        duration,
    ]
}

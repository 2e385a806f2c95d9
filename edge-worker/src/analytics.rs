//! Workers Analytics Engine, where there is a binding: one data point for each run of a tick or a message.

use worker::{AnalyticsEngineDataPointBuilder, Env};

use crate::run::Report;

/// The binding in wrangler.toml.
const BINDING: &str = "ANALYTICS";

/// What is written of a run: `index1`, `blob1` and on, `double1` and on.
#[derive(Debug, PartialEq)]
struct Point<'a> {
    index: &'static str,
    /// The run's name, and what came of it.
    blobs: [&'a str; 2],
    /// Claimed, refreshed, expired, failed, still due, milliseconds.
    doubles: [f64; 6],
}

/// Writes what came of a run. Without the binding nothing happens.
pub(crate) fn write(report: &Report, env: &Env) {
    let Ok(dataset) = env.analytics_engine(BINDING) else {
        return;
    };
    let Point {
        index,
        blobs,
        doubles,
    } = Point::of(report);
    let point = AnalyticsEngineDataPointBuilder::new().indexes([index]);
    let point = blobs
        .into_iter()
        .fold(point, AnalyticsEngineDataPointBuilder::add_blob);
    let point = doubles
        .into_iter()
        .fold(point, AnalyticsEngineDataPointBuilder::add_double);
    // It is written in the background; a point lost is a point lost.
    drop(dataset.write_data_point(&point.build()));
}

impl<'a> Point<'a> {
    fn of(report: &'a Report) -> Self {
        let tally = &report.tally;
        #[expect(clippy::cast_precision_loss, reason = "a run takes less than a minute")]
        let duration = report.summary.duration_ms as f64;
        Self {
            index: report.trigger.as_str(),
            blobs: [&report.summary.run_id, report.outcome()],
            doubles: [
                tally.claimed.into(),
                tally.refreshed.into(),
                tally.expired.into(),
                tally.failed.into(),
                report.summary.remaining.unwrap_or_default().into(),
                duration,
            ],
        }
    }
}

#[cfg(test)]
mod tests {
    use session_core::batch::Tally;

    use super::*;
    use crate::{database::Trigger, run::Summary};

    #[test]
    fn a_run_is_told_by_its_trigger_with_numbers_in_the_order_that_is_written_down() {
        let tally = Tally {
            claimed: 15,
            refreshed: 8,
            expired: 4,
            failed: 3,
            ..Tally::default()
        };
        let report = Report {
            trigger: Trigger::Queue,
            summary: Summary {
                run_id: "run".to_owned(),
                tally: tally.clone(),
                remaining: Some(7),
                duration_ms: 1_250,
            },
            tally,
            error: None,
            request_id: None,
        };
        let wanted = Point {
            index: "queue",
            blobs: ["run", "done"],
            doubles: [15.0, 8.0, 4.0, 3.0, 7.0, 1_250.0],
        };
        assert_eq!(Point::of(&report), wanted);
    }
}

//! How long the database took, of all calls in this isolate, until a run's end writes it there.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use operations::overview::Histogram;

static CALLS: Mutex<Histogram> = Mutex::new(Histogram {
    count: 0,
    sum_ms: 0,
    buckets: Vec::new(),
});

/// Notes a call.
pub(crate) fn note(duration: Duration) {
    CALLS
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .note(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX));
}

/// What was noted since this was last asked.
pub(crate) fn take() -> Histogram {
    std::mem::take(&mut *CALLS.lock().unwrap_or_else(PoisonError::into_inner))
}

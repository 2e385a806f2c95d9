//! The OpenMetrics text of `GET /api/internal/metrics`.

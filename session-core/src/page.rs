//! Placeholder, replaced by the page reader.

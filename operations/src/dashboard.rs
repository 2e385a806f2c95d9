//! The dashboard's pages, with their plots.

//! Alerts and sessions' events as receivers get them: in words, in three formats, signed.

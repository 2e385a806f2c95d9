//! What can go wrong with a request, by stable codes. What is said of each here is its documentation: in
//! edge-worker/openapi.json and docs/ERRORS.md, too.

use serde::{Deserialize, Serialize};

/// Says what went wrong; stable, for programs.
// The first paragraph of each says what it means, the second what to do: a test wants both.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schemas", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum ErrorCode {
    /// The request's body, query or headers are not as this document says.
    ///
    /// Mend what `error` names; sent again as it is, the request fails again.
    BadRequest,
    /// No valid access token came with the request, or no valid key.
    ///
    /// A user signs in to the app again, or refreshes the token; a job sends its key in `x-api-key`.
    Unauthorized,
    /// The access token has no `email` claim, by which sessions are found.
    ///
    /// Sign in with an account that has an e-mail address.
    EmailMissing,
    /// A sign-in by cookie came from another site's page, or with a body that is not declared as JSON.
    ///
    /// Call from a page of the same origin, a `POST` with `Content-Type: application/json`; or send a bearer token.
    CrossSite,
    /// There is nothing at this address.
    ///
    /// Look up the path: none ends in a slash, and letter case counts.
    NotFound,
    /// There is no such session, or it is another user's.
    ///
    /// Check the id; a user without any session signs in to aimharder.
    SessionNotFound,
    /// The address takes other methods.
    ///
    /// Use one of those that the header `Allow` names.
    MethodNotAllowed,
    /// The body did not come in time.
    ///
    /// Send it again, within ten seconds.
    BodyTimeout,
    /// The aimharder session is over.
    ///
    /// Sign in to aimharder again: nothing else helps.
    SessionExpired,
    /// What is stored of the session can't be presented to aimharder.
    ///
    /// Sign in to aimharder again, and look at how the app stores its sessions if that recurs.
    SessionUnusable,
    /// The body is longer than any that makes sense.
    ///
    /// Send less: 16 KiB at the most, 128 KiB where a list is taken.
    BodyTooLarge,
    /// A request about another session was made with the same `Idempotency-Key`.
    ///
    /// Use a fresh key for each new request, and the same one only to repeat it.
    IdempotencyKeyReused,
    /// Somebody else refreshes the session at this moment.
    ///
    /// Wait for `Retry-After`, then ask how it stands.
    RefreshInProgress,
    /// The session was tried a moment ago.
    ///
    /// Wait for `Retry-After`.
    TooSoon,
    /// Too many requests came from this user or address.
    ///
    /// Wait for `Retry-After`, and ask less often.
    RateLimited,
    /// aimharder refused the request, maybe by its firewall.
    ///
    /// Keep the session, and try again after `Retry-After`; if it lasts, an operator looks at what the Worker sends.
    UpstreamRefused,
    /// aimharder has a fault.
    ///
    /// Keep the session, and try again after `Retry-After`.
    UpstreamFault,
    /// aimharder can't be reached, or broke off.
    ///
    /// Keep the session, and try again after `Retry-After`.
    UpstreamUnreachable,
    /// aimharder answered something that is not understood, or that is not believed for now.
    ///
    /// Keep the session, and try again after `Retry-After`; if it lasts, aimharder may have changed its pages.
    UpstreamUnrecognised,
    /// No session of the batch could be refreshed.
    ///
    /// Look at `outcomes`; the next tick tries them again.
    BatchFailed,
    /// None of the named sessions could be made as fresh as was asked for.
    ///
    /// Look at `sessions`, and call again after `Retry-After`.
    NoneFresh,
    /// aimharder asks for fewer calls.
    ///
    /// Keep the session, and try again after `Retry-After`.
    UpstreamThrottled,
    /// aimharder has trouble or had too many calls, and is left alone.
    ///
    /// Keep the session, and try again after `Retry-After`.
    UpstreamSpared,
    /// A newer sign-in took the refresh's place.
    ///
    /// Ask how the session stands after `Retry-After`: it is fresh already, most likely.
    Superseded,
    /// The work was interrupted.
    ///
    /// Try again after `Retry-After`.
    Interrupted,
    /// The Worker's settings are wrong; `error` names each.
    ///
    /// An operator mends them: see `.dev.vars.example`.
    Misconfigured,
    /// Something that has to be well is not; `checks` tells what.
    ///
    /// An operator looks at each check that is not `ok`.
    NotReady,
    /// The keys that access tokens are signed with can't be had.
    ///
    /// Keep the token, and try again after `Retry-After`.
    KeysUnavailable,
    /// The database can't be reached, or is overloaded.
    ///
    /// Try again after `Retry-After`.
    DatabaseUnavailable,
    /// The database did not answer in time; what was asked of it may have been done.
    ///
    /// Try again after `Retry-After`.
    DatabaseTimedOut,
    /// The database refuses the Worker's key, or lacks its functions.
    ///
    /// An operator checks `SUPABASE_URL` and `SUPABASE_SERVICE_ROLE_KEY`, and applies the migrations.
    DatabaseRefused,
    /// The table would not take what was to be written of a session.
    ///
    /// An operator looks for a constraint or trigger of the project's own on `auth_sessions`.
    DatabaseRowRefused,
    /// The database answered something that this version does not understand.
    ///
    /// An operator applies the migrations that came with this version.
    DatabaseUnintelligible,
    /// aimharder did not answer in time.
    ///
    /// Keep the session, and try again after `Retry-After`.
    UpstreamTimedOut,
}

impl ErrorCode {
    /// The HTTP status that goes with it.
    pub const fn status(self) -> u16 {
        match self {
            Self::BadRequest => 400,
            Self::Unauthorized => 401,
            Self::EmailMissing | Self::CrossSite => 403,
            Self::NotFound | Self::SessionNotFound => 404,
            Self::MethodNotAllowed => 405,
            Self::BodyTimeout => 408,
            Self::SessionExpired | Self::SessionUnusable => 409,
            Self::BodyTooLarge => 413,
            Self::IdempotencyKeyReused => 422,
            Self::RefreshInProgress | Self::TooSoon | Self::RateLimited => 429,
            Self::UpstreamRefused
            | Self::UpstreamFault
            | Self::UpstreamUnreachable
            | Self::UpstreamUnrecognised
            | Self::BatchFailed
            | Self::NoneFresh => 502,
            Self::UpstreamThrottled
            | Self::UpstreamSpared
            | Self::Superseded
            | Self::Interrupted
            | Self::Misconfigured
            | Self::NotReady
            | Self::KeysUnavailable
            | Self::DatabaseUnavailable
            | Self::DatabaseTimedOut
            | Self::DatabaseRefused
            | Self::DatabaseRowRefused
            | Self::DatabaseUnintelligible => 503,
            Self::UpstreamTimedOut => 504,
        }
    }

    /// Whether the answer says when to try again, in `Retry-After`: it does where waiting helps.
    pub const fn says_when(self) -> bool {
        match self {
            Self::RefreshInProgress
            | Self::TooSoon
            | Self::RateLimited
            | Self::UpstreamRefused
            | Self::UpstreamFault
            | Self::UpstreamUnreachable
            | Self::UpstreamUnrecognised
            | Self::NoneFresh
            | Self::UpstreamThrottled
            | Self::UpstreamSpared
            | Self::Superseded
            | Self::Interrupted
            | Self::KeysUnavailable
            | Self::DatabaseUnavailable
            | Self::DatabaseTimedOut
            | Self::UpstreamTimedOut => true,
            Self::BadRequest
            | Self::Unauthorized
            | Self::EmailMissing
            | Self::CrossSite
            | Self::NotFound
            | Self::SessionNotFound
            | Self::MethodNotAllowed
            | Self::BodyTimeout
            | Self::SessionExpired
            | Self::SessionUnusable
            | Self::BodyTooLarge
            | Self::IdempotencyKeyReused
            | Self::BatchFailed
            | Self::NotReady
            | Self::Misconfigured
            | Self::DatabaseRefused
            | Self::DatabaseRowRefused
            | Self::DatabaseUnintelligible => false,
        }
    }
}

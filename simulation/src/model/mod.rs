//! What the functions of `supabase/migrations/20261125000200_sparing_functions.sql` do, without `PostgreSQL`. The moment
//! and the dice are arguments. `tests/model.test.mjs` holds the one against the other.

mod admit;
mod answers;
mod calls;
mod claim;
mod finish;
mod note;
mod table;

pub(crate) use answers::{
    Claimed, DueClaimAnswer, Fate, FinishAnswer, Held, NamedClaimAnswer, OutlookAnswer, Standing,
    UserClaimAnswer, UserResult,
};
pub(crate) use claim::{DueClaim, NamedClaim, UserClaim};
pub(crate) use finish::{Entry, Finish, Kind};
pub(crate) use table::{
    Attempt, Breaker, Code, Database, Id, Moment, Policy, SECOND, Session, SignIn, State,
};

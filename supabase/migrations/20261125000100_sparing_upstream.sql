-- What all Workers together need to know of upstream, so that they act as one, and what a session's schedule needs
-- beyond its due time. Safe to run twice and on a table with rows.

alter table public.auth_sessions
  -- How this session is kept alive; null: as the deployment says.
  add column if not exists refresh_method text,
  -- Answers about the session itself, in a row, that renewed nothing: outages don't count.
  add column if not exists session_failures integer not null default 0,
  -- How often since the last success or sign-in the site called the session over without being believed.
  add column if not exists refusals_in_doubt integer not null default 0,
  -- Since when upstream may have handed out a token that was never written: a Worker died over the session, or an
  -- answer was lost. A refusal proves little from then on.
  add column if not exists in_doubt_since timestamptz;

do $$
begin
  if not exists (
    select from pg_constraint
    where conname = 'auth_sessions_refresh_method_check' and conrelid = 'public.auth_sessions'::regclass
  ) then
    alter table public.auth_sessions
      add constraint auth_sessions_refresh_method_check check (refresh_method in ('setrefresh', 'tokenUpdate'));
  end if;
end
$$;

-- A claim changes the lease alone, in which no index has a part: with room on the page the new version stays there
-- (HOT), and no index grows. A finish moves the due time, so it can't. With pages filled to 100, 90 and 80 % 44, 98 and
-- 99.9 % of claims were HOT; with a late vacuum the table grew by 60, 26 and 1 % (docs/SCALE.md). It is for pages that are
-- new: those that are full already get their room as their rows move on, or at once by `vacuum full`.
--
-- Every interval each session leaves two dead versions, 5 % of the rows a minute: vacuum comes after 10 %, every second
-- minute, rather than after 20 %. Sooner gains nothing that was seen, and each time it reads all indexes whole.
alter table public.auth_sessions set (
  fillfactor = 80, autovacuum_vacuum_scale_factor = 0.1, autovacuum_analyze_scale_factor = 0.05);
-- Rows are added and, a month later, removed: vacuum is wanted for both.
alter table public.refresh_attempts set (
  autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_insert_scale_factor = 0.05);

alter table public.refresh_attempts
  -- How old the session's last sign of life was. Where it was found expired: how long it had lived.
  add column if not exists age_seconds integer;

-- What the Workers' settings say, as the last of them told it.
alter table public.refresh_policy
  add column if not exists max_in_flight integer not null default 24 check (max_in_flight > 0),
  add column if not exists calls_per_second float8 not null default 20 check (calls_per_second > 0),
  add column if not exists exhaust_after integer not null default 10 check (exhaust_after > 0),
  -- What the site's answers say of how long a session lives, as of when; null where they say nothing.
  add column if not exists life_measured_at timestamptz,
  add column if not exists life_seconds integer;

-- One row for each upstream: how it fares and how it is spared. Read and written under its lock, by claims and
-- finishes alone.
create table if not exists public.refresh_upstreams (
  upstream text primary key,
  -- When the next call of a batch may begin, and the next of somebody who waits for it.
  next_start_at timestamptz not null default '-infinity',
  next_urgent_at timestamptz not null default '-infinity',
  -- Calls a second as of rate_at; it grows from there up to the policy's. Null: the policy's.
  rate float8,
  rate_at timestamptz,
  -- Upstream asked to be left alone until then.
  paused_until timestamptz not null default '-infinity',
  breaker text not null default 'closed' check (breaker in ('closed', 'open', 'half_open')),
  -- Open: until a probe may go. Half open: until the probe counts as lost.
  breaker_until timestamptz not null default '-infinity',
  -- How often in a row it opened.
  openings integer not null default 0,
  -- What came of calls in this window and in the one before.
  window_at timestamptz not null default '-infinity',
  answers integer not null default 0,
  faults integer not null default 0,
  throttles integer not null default 0,
  answers_before integer not null default 0,
  faults_before integer not null default 0,
  throttles_before integer not null default 0,
  -- Sessions, two at the most, that were throttled in these windows: one alone is that session's own affair.
  throttled uuid[] not null default '{}',
  throttled_before uuid[] not null default '{}'
) with (fillfactor = 50);

-- Who may have how many calls under way. A Worker that died loses its right with its leases.
create table if not exists public.refresh_slots (
  holder uuid primary key,
  upstream text not null,
  width integer not null,
  expires_at timestamptz not null
);

-- Times at which a session has to be fresh: "at 09:59:30", before a class opens.
create table if not exists public.refresh_wishes (
  session_id uuid not null references public.auth_sessions (id) on delete cascade,
  fresh_at timestamptz not null,
  primary key (session_id, fresh_at)
);

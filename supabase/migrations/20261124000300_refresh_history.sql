-- What was done: one row per batch run, one row per attempt. Ids, codes and durations; no secrets, no addresses.

create table if not exists public.refresh_runs (
  id uuid primary key,
  trigger text not null,
  started_at timestamptz not null default now(),
  -- Null while the run goes on, and for ever if its Worker died.
  finished_at timestamptz,
  claimed integer not null default 0,
  refreshed integer not null default 0,
  expired integer not null default 0,
  failed integer not null default 0,
  outcomes jsonb not null default '{}',
  remaining integer,
  duration_ms bigint,
  -- A code, where the run met trouble of ours.
  error text
);

create table if not exists public.refresh_attempts (
  session_id uuid not null references public.auth_sessions (id) on delete cascade,
  -- The claim's fence: with the session it names an attempt once and for all, so that a finish can be repeated.
  fence bigint not null,
  run_id uuid,
  trigger text not null,
  finished_at timestamptz not null default now(),
  duration_ms bigint not null,
  outcome text not null,
  upstream_status smallint,
  -- Calls made within the attempt.
  tries smallint not null,
  primary key (session_id, fence)
);

create index if not exists refresh_runs_started_at on public.refresh_runs (started_at);
create index if not exists refresh_attempts_finished_at on public.refresh_attempts (finished_at);

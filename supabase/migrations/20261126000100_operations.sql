-- What operators see and are told of: history by the hour, samples, alerts and their delivery, lost sessions, operators'
-- actions. Safe to run twice and on a table with rows; a Worker of before goes on working.

-- Sessions that an operator should look at. A claim changes nothing here, and stays HOT.
create index if not exists auth_sessions_in_trouble
  on public.auth_sessions (last_attempt_at desc nulls last, id)
  where refresh_state <> 'active' or consecutive_failures > 0;

-- What ticks leave for each other: one row, which no claim and no finish looks at.
create table if not exists public.refresh_watch (
  id boolean primary key default true check (id),
  -- The last cron tick that got here.
  last_tick_at timestamptz,
  -- Since when there is somebody to tell of sessions' events; null: nobody.
  events_since timestamptz
);
insert into public.refresh_watch default values on conflict do nothing;

-- What was counted lately: appended by whoever writes attempts and ends runs, so that nobody waits for another's row. A tick
-- adds it up into refresh_hours.
create table if not exists public.refresh_tallies (
  at timestamptz not null,
  -- attempt (label: outcome; extra: calls), age (label: minutes; extra: found expired), run (label: trigger; extra: sessions
  -- claimed), database (the runs' calls of it).
  kind text not null check (kind in ('attempt', 'age', 'run', 'database')),
  label text not null,
  count bigint not null,
  extra bigint not null default 0,
  sum_ms bigint not null default 0,
  -- How many took up to 25, 50, 100, 250, 500 ms, 1, 2.5, 5, 10, 20 s, and longer: overview.rs has the same.
  buckets bigint[] not null default '{}'
);

-- The same by the hour; the hour -infinity is all since ever, which never shrinks.
create table if not exists public.refresh_hours (
  hour timestamptz not null,
  kind text not null,
  label text not null,
  count bigint not null,
  extra bigint not null,
  sum_ms bigint not null,
  buckets bigint[] not null,
  primary key (hour, kind, label)
) with (fillfactor = 70);

-- All sessions, counted now and then: one row. The less often, the longer counting takes.
create table if not exists public.refresh_stock (
  id boolean primary key default true check (id),
  counted_at timestamptz,
  cost_ms float8 not null default 0,
  active integer not null default 0,
  expired integer not null default 0,
  exhausted integer not null default 0,
  disabled integer not null default 0,
  failing integer not null default 0,
  late integer not null default 0,
  oldest_age_seconds integer,
  -- By minutes of age, from 0 on; the last holds all that are older than 120.
  ages integer[] not null default '{}'
);
insert into public.refresh_stock default values on conflict do nothing;

-- What each tick saw.
create table if not exists public.refresh_samples (
  at timestamptz primary key,
  due integer not null,
  oldest_age_seconds integer,
  active integer not null,
  late integer not null,
  -- Since ever, as of then.
  attempts bigint not null,
  failures bigint not null
);

-- Sessions lost and come back.
create table if not exists public.session_events (
  id uuid primary key default gen_random_uuid(),
  session_id uuid not null references public.auth_sessions (id) on delete cascade,
  at timestamptz not null,
  event text not null check (event in ('expired', 'exhausted', 'recovered')),
  -- Whether a message was made of it.
  queued boolean not null default false
);
create index if not exists session_events_at on public.session_events (at);
create index if not exists session_events_of_session on public.session_events (session_id, at);
create index if not exists session_events_unqueued on public.session_events (at) where not queued;

-- Each alert as it stands, or was last.
create table if not exists public.refresh_alerts (
  kind text primary key,
  since timestamptz not null,
  over_at timestamptz,
  told_at timestamptz,
  -- How much of it there was then, where that counts.
  told_weight bigint,
  details jsonb not null default '{}'
);

-- What receivers are to be told, until they were.
create table if not exists public.refresh_messages (
  id uuid primary key default gen_random_uuid(),
  number bigint generated always as identity,
  kind text not null check (kind in ('alert', 'event')),
  event_id uuid references public.session_events (id) on delete cascade,
  body jsonb not null,
  created_at timestamptz not null,
  next_try_at timestamptz not null,
  tries integer not null default 0,
  last_error text,
  delivered_at timestamptz
);
create index if not exists refresh_messages_waiting on public.refresh_messages (next_try_at) where delivered_at is null;
create index if not exists refresh_messages_created_at on public.refresh_messages (created_at);
create index if not exists refresh_messages_of_event on public.refresh_messages (event_id);

-- Outlines of pages that were not recognised: how they are built, nothing of what they say.
create table if not exists public.refresh_outlines (
  at timestamptz not null,
  session_id uuid not null references public.auth_sessions (id) on delete cascade,
  outline text not null
);
create index if not exists refresh_outlines_at on public.refresh_outlines (at);
create index if not exists refresh_outlines_of_session on public.refresh_outlines (session_id);

-- What operators and jobs did, with which key (a digest's first digits).
create table if not exists public.refresh_actions (
  id bigint generated always as identity primary key,
  at timestamptz not null,
  key_id text not null,
  action text not null,
  session_id uuid,
  result text not null
);
create index if not exists refresh_actions_at on public.refresh_actions (at);
create index if not exists refresh_actions_of_session on public.refresh_actions (session_id, at);

-- Counts what is noted of attempts, whoever notes it.
create or replace function public.tally_attempts() returns trigger
language plpgsql
set search_path = ''
as $$
begin
  insert into public.refresh_tallies (at, kind, label, count, extra, sum_ms, buckets)
  select max(added.finished_at), 'attempt', added.outcome, count(*), sum(added.tries), sum(added.duration_ms), array[
    count(*) filter (where added.duration_ms <= 25),
    count(*) filter (where added.duration_ms > 25 and added.duration_ms <= 50),
    count(*) filter (where added.duration_ms > 50 and added.duration_ms <= 100),
    count(*) filter (where added.duration_ms > 100 and added.duration_ms <= 250),
    count(*) filter (where added.duration_ms > 250 and added.duration_ms <= 500),
    count(*) filter (where added.duration_ms > 500 and added.duration_ms <= 1000),
    count(*) filter (where added.duration_ms > 1000 and added.duration_ms <= 2500),
    count(*) filter (where added.duration_ms > 2500 and added.duration_ms <= 5000),
    count(*) filter (where added.duration_ms > 5000 and added.duration_ms <= 10000),
    count(*) filter (where added.duration_ms > 10000 and added.duration_ms <= 20000),
    count(*) filter (where added.duration_ms > 20000)]
  from added
  group by added.outcome
  union all
  select max(added.finished_at), 'age', (added.age_seconds / 60)::text, count(*),
    count(*) filter (where added.outcome = 'expired'), 0, '{}'
  from added
  where added.outcome in ('refreshed', 'expired') and added.age_seconds is not null
  group by added.age_seconds / 60;
  return null;
end
$$;

create or replace trigger refresh_attempts_tally
  after insert on public.refresh_attempts
  referencing new table as added
  for each statement execute function public.tally_attempts();

-- Notes that a session was lost or came back. Given up and tried again is no coming back: a success is.
create or replace function public.note_session_event() returns trigger
language plpgsql
set search_path = ''
as $$
begin
  insert into public.session_events (session_id, at, event)
  values (new.id, public.keepalive_now(), case new.refresh_state when 'active' then 'recovered' else new.refresh_state end);
  return null;
end
$$;

create or replace trigger auth_sessions_note_event
  after update on public.auth_sessions
  for each row
  when (old.refresh_state is distinct from new.refresh_state
    and (new.refresh_state <> 'active' or old.refresh_state = 'expired'))
  execute function public.note_session_event();

-- The usual questions. Only the service role may ask, as everywhere: a view that asks with its reader's rights.

create or replace view public.refresh_success_by_hour with (security_invoker = true) as
select hours.hour, sum(hours.count) as attempts,
  sum(hours.count) filter (where hours.label = 'refreshed') as refreshed,
  round(coalesce(sum(hours.count) filter (where hours.label = 'refreshed'), 0) / sum(hours.count), 4) as success_rate,
  round(sum(hours.sum_ms) / sum(hours.count)) as average_ms
from (
  select hour, label, count, sum_ms from public.refresh_hours where kind = 'attempt' and hour > '-infinity'
  union all
  select date_trunc('hour', at, 'UTC'), label, count, sum_ms from public.refresh_tallies where kind = 'attempt'
) hours
group by hours.hour;

create or replace view public.sessions_by_state with (security_invoker = true) as
select session.refresh_state, session.auto_refresh_enabled, count(*) as sessions,
  count(*) filter (where session.refresh_state = 'active' and session.consecutive_failures > 0) as failing,
  min(greatest(session.last_refresh_date, session.signed_in_at)) as oldest_sign_of_life
from public.auth_sessions session
group by session.refresh_state, session.auto_refresh_enabled;

-- As far as single attempts are kept.
create or replace view public.refreshes_per_session with (security_invoker = true) as
select attempt.session_id, count(*) as attempts,
  count(*) filter (where attempt.outcome = 'refreshed') as refreshed,
  round(avg(attempt.duration_ms)) as average_ms, max(attempt.finished_at) as last_attempt_at
from public.refresh_attempts attempt
group by attempt.session_id;

create or replace view public.slowest_runs with (security_invoker = true) as
select run.id, run.trigger, run.started_at, run.duration_ms, run.claimed, run.refreshed, run.expired, run.failed,
  run.remaining, run.error
from public.refresh_runs run
where run.duration_ms is not null
order by run.duration_ms desc;

create or replace view public.sessions_failing with (security_invoker = true) as
select session.id, session.user_email, session.refresh_state, session.last_refresh_error, session.consecutive_failures,
  coalesce(first_failure.at, session.last_attempt_at) as failing_since,
  greatest(session.last_refresh_date, session.signed_in_at) as last_sign_of_life
from public.auth_sessions session
left join lateral (
  select min(attempt.finished_at) as at
  from public.refresh_attempts attempt
  where attempt.session_id = session.id
    and attempt.finished_at > greatest(session.last_refresh_date, session.signed_in_at)
) first_failure on true
where session.refresh_state <> 'active' or session.consecutive_failures > 0;

-- How old the sessions were that the site called over, by the hour and the minute of age, beside those that it renewed.
create or replace view public.measured_lives with (security_invoker = true) as
select hours.hour, hours.label::integer as age_minutes, hours.count - hours.extra as renewed, hours.extra as expired
from public.refresh_hours hours
where hours.kind = 'age' and hours.hour > '-infinity';

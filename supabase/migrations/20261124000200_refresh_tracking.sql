-- What keeping a session alive needs to know of it. Safe to run twice and on a table with rows.

alter table public.auth_sessions
  add column if not exists fingerprint varchar(50),
  add column if not exists created_at timestamptz default now(),
  add column if not exists updated_at timestamptz default now(),
  -- The plan's columns.
  add column if not exists last_refresh_date timestamptz,
  add column if not exists refresh_count integer default 0,
  add column if not exists last_refresh_error text,
  add column if not exists auto_refresh_enabled boolean default true,
  -- Scheduling.
  add column if not exists next_refresh_at timestamptz,
  add column if not exists refresh_state text not null default 'active',
  add column if not exists consecutive_failures integer not null default 0,
  add column if not exists last_attempt_at timestamptz,
  add column if not exists signed_in_at timestamptz,
  -- The lease: who works on the session, until when, and a fence that grows with every claim and sign-in.
  add column if not exists lease_holder uuid,
  add column if not exists lease_expires_at timestamptz,
  add column if not exists lease_fence bigint not null default 0;

-- Columns of the plan that somebody added by hand may lack what is relied on here.
update public.auth_sessions set refresh_count = 0 where refresh_count is null;
update public.auth_sessions set auto_refresh_enabled = true where auto_refresh_enabled is null;
alter table public.auth_sessions
  alter column refresh_count set default 0,
  alter column refresh_count set not null,
  alter column auto_refresh_enabled set default true,
  alter column auto_refresh_enabled set not null;

do $$
begin
  if not exists (
    select from pg_constraint
    where conname = 'auth_sessions_refresh_state_check' and conrelid = 'public.auth_sessions'::regclass
  ) then
    alter table public.auth_sessions
      add constraint auth_sessions_refresh_state_check check (refresh_state in ('active', 'expired', 'exhausted'));
  end if;
  -- A time without its zone is read differently by every client; what stands in such a column was written as UTC.
  if exists (
    select from information_schema.columns
    where table_schema = 'public' and table_name = 'auth_sessions'
      and column_name = 'last_refresh_date' and data_type = 'timestamp without time zone'
  ) then
    alter table public.auth_sessions
      alter column last_refresh_date type timestamptz using last_refresh_date at time zone 'UTC';
  end if;
end
$$;

-- Rows from before are due at once, spread over a minute; when their users signed in is guessed from what there is.
update public.auth_sessions
set signed_in_at = coalesce(updated_at, created_at, now())
where signed_in_at is null;
update public.auth_sessions
set next_refresh_at = now() + random() * interval '1 minute'
where next_refresh_at is null and refresh_state = 'active';

create index if not exists auth_sessions_due
  on public.auth_sessions (next_refresh_at)
  where refresh_state = 'active' and auto_refresh_enabled;

-- How old a refresh may grow, as the Worker last said: a sign-in counts as fresh for that long.
create table if not exists public.refresh_policy (
  id boolean primary key default true check (id),
  interval_seconds integer not null default 1200 check (interval_seconds > 0)
);
insert into public.refresh_policy default values on conflict do nothing;

-- A token or cookies written by anybody but finish_sessions are a sign-in's: the session is alive and fresh, and a
-- refresh under way with the old ones loses its lease.
create or replace function public.note_sign_in() returns trigger
language plpgsql
set search_path = ''
as $$
declare
  interval_seconds float8 := coalesce((select policy.interval_seconds from public.refresh_policy policy), 1200);
  -- As after a refresh (due.rs): jitter, and a minute for the cron.
  fresh_until timestamptz := now() + make_interval(secs =>
    least(interval_seconds * (0.80 + 0.15 * random()), greatest(interval_seconds - 60, 0)));
begin
  if tg_op = 'INSERT' then
    new.signed_in_at := coalesce(new.signed_in_at, now());
    if new.refresh_state = 'active' then
      new.next_refresh_at := coalesce(new.next_refresh_at, fresh_until);
    end if;
    return new;
  end if;
  if coalesce(current_setting('keepalive.finishing', true), '') = 'on' then
    return new;
  end if;
  new.refresh_state := 'active';
  new.last_refresh_error := null;
  new.consecutive_failures := 0;
  new.lease_holder := null;
  new.lease_expires_at := null;
  new.lease_fence := old.lease_fence + 1;
  new.signed_in_at := now();
  new.next_refresh_at := fresh_until;
  return new;
end
$$;

create or replace trigger auth_sessions_note_insert
  before insert on public.auth_sessions
  for each row execute function public.note_sign_in();

create or replace trigger auth_sessions_note_sign_in
  before update of aimharder_token, aimharder_cookies on public.auth_sessions
  for each row
  when (
    old.aimharder_token is distinct from new.aimharder_token
    or old.aimharder_cookies is distinct from new.aimharder_cookies
  )
  execute function public.note_sign_in();

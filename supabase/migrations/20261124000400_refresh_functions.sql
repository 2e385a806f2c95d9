-- All work is claimed and finished through these functions, called over /rest/v1/rpc/.
--
-- Each answers one jsonb value, never a set: PostgREST's max-rows would cut a set without a word. Times in it are
-- milliseconds since the epoch. The database's clock alone decides what is due.

create or replace function public.to_millis(moment timestamptz) returns bigint
language sql immutable
set search_path = ''
as $$ select floor(extract(epoch from moment) * 1000)::bigint $$;

-- What may be told of a session: no secrets.
create or replace function public.session_status_json(session public.auth_sessions) returns jsonb
language sql stable
set search_path = ''
as $$
  select jsonb_build_object(
    'id', session.id,
    'state', session.refresh_state,
    'lastRefreshDate', public.to_millis(session.last_refresh_date),
    'nextRefreshAt', public.to_millis(session.next_refresh_at),
    'lastAttemptAt', public.to_millis(session.last_attempt_at),
    'refreshCount', session.refresh_count,
    'consecutiveFailures', session.consecutive_failures,
    'lastError', session.last_refresh_error,
    'autoRefreshEnabled', session.auto_refresh_enabled,
    'leased', coalesce(session.lease_expires_at > now(), false),
    'createdAt', public.to_millis(coalesce(session.created_at, session.signed_in_at)),
    'signedInAt', public.to_millis(session.signed_in_at))
$$;

-- What the holder of a lease needs to refresh a session: secrets.
create or replace function public.claimed_session_json(session public.auth_sessions) returns jsonb
language sql stable
set search_path = ''
as $$
  select jsonb_build_object(
    'id', session.id,
    'token', session.aimharder_token,
    'cookies', session.aimharder_cookies,
    'fingerprint', session.fingerprint,
    'fence', session.lease_fence,
    'consecutiveFailures', session.consecutive_failures)
$$;

-- Takes a lease on up to p_limit due sessions, oldest due first, and opens the run's record.
create or replace function public.claim_due_sessions(
  p_run_id uuid, p_trigger text, p_holder uuid, p_limit integer, p_lease_seconds integer, p_interval_seconds integer
) returns jsonb
language plpgsql
set search_path = ''
as $$
declare
  claimed jsonb;
begin
  update public.refresh_policy set interval_seconds = p_interval_seconds
  where interval_seconds <> p_interval_seconds;

  insert into public.refresh_runs (id, trigger) values (p_run_id, p_trigger) on conflict (id) do nothing;

  with due as materialized (
    select session.id, session.next_refresh_at
    from public.auth_sessions session
    where session.refresh_state = 'active'
      and session.auto_refresh_enabled
      and session.next_refresh_at <= now()
      and (session.lease_expires_at is null or session.lease_expires_at <= now())
    order by session.next_refresh_at
    limit p_limit
    for update skip locked
  ), taken as (
    update public.auth_sessions session
    set lease_holder = p_holder,
        lease_expires_at = now() + make_interval(secs => p_lease_seconds),
        lease_fence = session.lease_fence + 1
    from due
    where session.id = due.id
    returning public.claimed_session_json(session) as claim, due.next_refresh_at as due_since
  )
  select jsonb_agg(taken.claim order by taken.due_since) into claimed from taken;

  return jsonb_build_object('now', public.to_millis(now()), 'sessions', coalesce(claimed, '[]'));
end
$$;

-- Takes a lease on one session of the user with this e-mail: the one named, else the one signed in most recently.
-- Another user's session is answered like one that does not exist. Repeated with the same p_holder it gives the
-- same lease again, so that a caller whose answer was lost can ask once more.
create or replace function public.claim_session(
  p_email text, p_session_id uuid, p_holder uuid, p_lease_seconds integer, p_reuse_seconds integer,
  p_min_seconds integer
) returns jsonb
language plpgsql
set search_path = ''
as $$
declare
  session public.auth_sessions;
  wait_until timestamptz;
  result text;
begin
  select candidate.* into session
  from public.auth_sessions candidate
  where candidate.user_email = p_email and (p_session_id is null or candidate.id = p_session_id)
  order by candidate.signed_in_at desc nulls last, candidate.id
  limit 1
  for update;

  if not found then
    return jsonb_build_object('result', 'not_found', 'now', public.to_millis(clock_timestamp()));
  end if;

  wait_until := greatest(
    session.last_attempt_at + make_interval(secs => p_min_seconds),
    case when session.last_refresh_error = 'throttled' then session.next_refresh_at end);

  result := case
    when session.refresh_state = 'expired' then 'expired'
    when session.lease_expires_at > clock_timestamp() and session.lease_holder <> p_holder then 'busy'
    when session.lease_expires_at > clock_timestamp() then 'claimed'
    when session.last_refresh_date > clock_timestamp() - make_interval(secs => p_reuse_seconds) then 'reused'
    when wait_until > clock_timestamp() then 'too_soon'
    else 'claimed'
  end;

  -- The same lease once more keeps its fence: the holder may be at work under it already.
  if result = 'claimed' and coalesce(session.lease_expires_at <= clock_timestamp(), true) then
    update public.auth_sessions target
    set lease_holder = p_holder,
        lease_expires_at = clock_timestamp() + make_interval(secs => p_lease_seconds),
        lease_fence = target.lease_fence + 1
    where target.id = session.id
    returning target.* into session;
  end if;

  return jsonb_strip_nulls(jsonb_build_object(
    'retryAfterSeconds', case when result = 'too_soon' then
      greatest(1, ceil(extract(epoch from wait_until - clock_timestamp())))::integer end
  )) || jsonb_build_object(
    'result', result,
    'now', public.to_millis(clock_timestamp()),
    'status', public.session_status_json(session),
    'session', case when result = 'claimed' then public.claimed_session_json(session) end);
end
$$;

-- The one statement that writes what came of claimed sessions: token, cookies and tracking, and only where the lease
-- is still the caller's. May be repeated: an entry that is written already is told as such. Called by finish_sessions.
--
-- p_results: [{"id", "fence", "kind": "refreshed" | "failed" | "expired" | "released", "outcome", "token",
-- "cookies", "fingerprint", "nextInSeconds", "upstreamStatus", "durationMs", "tries"}, …], each session once.
create or replace function public.finish_together(
  p_holder uuid, p_run_id uuid, p_trigger text, p_results jsonb
) returns jsonb
language plpgsql
set search_path = ''
as $$
declare
  answers jsonb;
begin
  -- In the order of their ids, so that two finishes never wait for each other.
  perform from public.auth_sessions session
  where session.id in (select entry.id from jsonb_to_recordset(p_results) as entry (id uuid))
  order by session.id
  for update;

  -- Tells the sign-in trigger who writes.
  perform set_config('keepalive.finishing', 'on', true);

  with entries as (
    select entry.*
    from jsonb_to_recordset(p_results) as entry (
      id uuid, fence bigint, kind text, outcome text, token text, cookies jsonb, fingerprint text,
      "nextInSeconds" float8, "upstreamStatus" smallint, "durationMs" bigint, tries smallint)
  ), written as (
    update public.auth_sessions session
    set aimharder_token = coalesce(entry.token, session.aimharder_token),
        aimharder_cookies = coalesce(entry.cookies, session.aimharder_cookies),
        -- One that another of the user's rows has would break that table's uniqueness, and all of this with it.
        fingerprint = case
          when entry.fingerprint is not null and not exists (
            select from public.auth_sessions other
            where other.user_email = session.user_email and other.fingerprint = entry.fingerprint
              and other.id <> session.id
          ) then entry.fingerprint
          else session.fingerprint
        end,
        last_refresh_date = case when entry.kind = 'refreshed' then now() else session.last_refresh_date end,
        refresh_count = session.refresh_count + case when entry.kind = 'refreshed' then 1 else 0 end,
        last_refresh_error = case entry.kind
          when 'refreshed' then null
          when 'released' then session.last_refresh_error
          else entry.outcome
        end,
        last_attempt_at = case when entry.kind = 'released' then session.last_attempt_at else now() end,
        consecutive_failures = case entry.kind
          when 'refreshed' then 0
          when 'released' then session.consecutive_failures
          else session.consecutive_failures + 1
        end,
        refresh_state = case entry.kind
          when 'refreshed' then 'active'
          when 'expired' then 'expired'
          else session.refresh_state
        end,
        next_refresh_at = case entry.kind
          when 'expired' then null
          when 'released' then session.next_refresh_at
          else now() + make_interval(secs => entry."nextInSeconds")
        end,
        updated_at = case when entry.kind = 'refreshed' then now() else session.updated_at end,
        lease_holder = null,
        lease_expires_at = null
    from entries entry
    where session.id = entry.id and session.lease_holder = p_holder and session.lease_fence = entry.fence
    returning session.id as session_id, entry.fence as entry_fence, public.session_status_json(session) as status
  ), noted as (
    insert into public.refresh_attempts
      (session_id, fence, run_id, trigger, duration_ms, outcome, upstream_status, tries)
    select entry.id, entry.fence, p_run_id, p_trigger, coalesce(entry."durationMs", 0), entry.outcome,
      entry."upstreamStatus", coalesce(entry.tries, 0)
    from entries entry
    join written on written.session_id = entry.id and written.entry_fence = entry.fence
    where entry.kind <> 'released'
  ), told as (
    select entry.id, entry.fence, numbered.position,
      written.status as written_status,
      case when session.id is not null then public.session_status_json(session) end as standing_status,
      earlier.session_id is not null as written_before
    from jsonb_array_elements(p_results) with ordinality as numbered (entry_json, position)
    cross join lateral jsonb_to_record(numbered.entry_json) as entry (id uuid, fence bigint)
    left join written on written.session_id = entry.id and written.entry_fence = entry.fence
    left join public.auth_sessions session on session.id = entry.id
    left join public.refresh_attempts earlier on earlier.session_id = entry.id and earlier.fence = entry.fence
  )
  select jsonb_agg(jsonb_build_object(
      'id', told.id,
      'result', case
        when told.written_status is not null then 'written'
        when told.written_before then 'already'
        else 'lost'
      end,
      'status', coalesce(told.written_status, told.standing_status)
    ) order by told.position)
  into answers
  from told;

  perform set_config('keepalive.finishing', 'off', true);
  return coalesce(answers, '[]');
end
$$;

-- Writes one entry by itself. A fingerprint that another of the user's rows took in this moment is left out. What the
-- table refuses, by a constraint or a trigger of its own, costs this entry alone: the failure is noted, so that the row
-- is not the oldest due for ever. A row that somebody else holds is told as such, to be tried again.
create or replace function public.finish_alone(
  p_holder uuid, p_run_id uuid, p_trigger text, p_entry jsonb
) returns jsonb
language plpgsql
set search_path = ''
as $$
begin
  return public.finish_together(p_holder, p_run_id, p_trigger, jsonb_build_array(p_entry)) -> 0;
exception
  when lock_not_available then
    return jsonb_build_object('id', p_entry -> 'id', 'result', 'locked');
  when integrity_constraint_violation or data_exception or plpgsql_error or with_check_option_violation then
    if p_entry ? 'fingerprint' then
      return public.finish_alone(p_holder, p_run_id, p_trigger, p_entry - 'fingerprint');
    end if;
    if p_entry ->> 'outcome' <> 'unwritten' then
      perform public.finish_alone(p_holder, p_run_id, p_trigger, p_entry - 'token' - 'cookies'
        || '{"kind": "failed", "outcome": "unwritten", "nextInSeconds": 300}');
    end if;
    return jsonb_build_object('id', p_entry -> 'id', 'result', 'refused');
end
$$;

-- Writes all entries in one statement; where one of them can't be written, each by itself, so that it doesn't take
-- the tokens of its neighbours with it. Called by the Worker. Other trouble, such as a full disk, is the caller's to
-- wait for.
create or replace function public.finish_sessions(
  p_holder uuid, p_run_id uuid, p_trigger text, p_results jsonb
) returns jsonb
language plpgsql
set search_path = ''
as $$
declare
  answers jsonb[];
  numbered record;
begin
  if exists (
    select from jsonb_to_recordset(p_results) as entry (id uuid, kind text, outcome text, "nextInSeconds" float8)
    where entry.id is null
      or coalesce(entry.kind not in ('refreshed', 'failed', 'expired', 'released'), true)
      or (entry.kind <> 'released' and entry.outcome is null)
      or (entry.kind in ('refreshed', 'failed') and entry."nextInSeconds" is null)
  ) then
    raise exception 'an entry lacks its id, its kind, its outcome or its next time' using errcode = '22023';
  end if;

  begin
    perform set_config('lock_timeout', '1500ms', true);
    return jsonb_build_object(
      'now', public.to_millis(now()),
      'results', public.finish_together(p_holder, p_run_id, p_trigger, p_results));
  exception
    when lock_not_available or integrity_constraint_violation or data_exception or plpgsql_error
      or with_check_option_violation then
      perform set_config('lock_timeout', '50ms', true);
  end;

  -- In the order of their ids, as ever.
  for numbered in
    select element.entry, element.position
    from jsonb_array_elements(p_results) with ordinality as element (entry, position)
    order by (element.entry ->> 'id')::uuid
  loop
    answers[numbered.position] := public.finish_alone(p_holder, p_run_id, p_trigger, numbered.entry);
  end loop;
  return jsonb_build_object('now', public.to_millis(now()), 'results', to_jsonb(answers));
end
$$;

-- How the user's session stands: the one named, else the one signed in most recently.
create or replace function public.session_status(p_email text, p_session_id uuid) returns jsonb
language sql stable
set search_path = ''
as $$
  select jsonb_build_object(
    'now', public.to_millis(now()),
    'status', (
      select public.session_status_json(session)
      from public.auth_sessions session
      where session.user_email = p_email and (p_session_id is null or session.id = p_session_id)
      order by session.signed_in_at desc nulls last, session.id
      limit 1))
$$;

-- How many sessions are due and not worked on; counted up to p_limit, so that it stays cheap with a large backlog.
create or replace function public.due_sessions_count(p_limit integer default 10001) returns integer
language sql stable
set search_path = ''
as $$
  select count(*)::integer
  from (
    select from public.auth_sessions session
    where session.refresh_state = 'active'
      and session.auto_refresh_enabled
      and session.next_refresh_at <= now()
      and (session.lease_expires_at is null or session.lease_expires_at <= now())
    limit p_limit
  ) due
$$;

-- Closes a run's record, says what is due still, and drops a little of the history that is past its time.
create or replace function public.finish_run(p_run_id uuid, p_summary jsonb, p_retention_days integer) returns jsonb
language plpgsql
set search_path = ''
as $$
declare
  left_over integer := public.due_sessions_count();
begin
  update public.refresh_runs run
  set finished_at = now(),
      claimed = coalesce((p_summary ->> 'claimed')::integer, 0),
      refreshed = coalesce((p_summary ->> 'refreshed')::integer, 0),
      expired = coalesce((p_summary ->> 'expired')::integer, 0),
      failed = coalesce((p_summary ->> 'failed')::integer, 0),
      outcomes = coalesce(p_summary -> 'outcomes', '{}'),
      remaining = left_over,
      duration_ms = (p_summary ->> 'durationMs')::bigint,
      error = p_summary ->> 'error'
  where run.id = p_run_id;

  delete from public.refresh_attempts attempt
  where (attempt.session_id, attempt.fence) in (
    select old.session_id, old.fence from public.refresh_attempts old
    where old.finished_at < now() - make_interval(days => p_retention_days)
    order by old.finished_at
    -- More than a run of this size adds, so that the history shrinks.
    limit greatest(1000, 2 * coalesce((p_summary ->> 'claimed')::integer, 0)));
  delete from public.refresh_runs run
  where run.id in (
    select old.id from public.refresh_runs old
    where old.started_at < now() - make_interval(days => p_retention_days)
    order by old.started_at
    limit 1000);

  return jsonb_build_object('remaining', left_over);
end
$$;

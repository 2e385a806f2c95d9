-- A retry of a user's refresh gets the answer that was lost on its way; and a success of moments ago no longer answers for
-- a session that failed since. Safe to run twice and on a table with rows; a Worker of before goes on working.

-- What came of refreshes that carried an Idempotency-Key: good for a day, and dropped as others come.
create table if not exists public.refresh_answers (
  -- Of the key and its user's verified e-mail (idempotency.rs): the key itself is not kept, and another user's is another.
  key_digest text primary key,
  session_id uuid not null references public.auth_sessions (id) on delete cascade,
  answered_at timestamptz not null,
  outcome text not null,
  retry_after_seconds float8,
  -- It was another call's success.
  reused boolean not null,
  -- session_status_json as of then: no secrets.
  status jsonb not null
);
-- For the cascade, and for what is past its time.
create index if not exists refresh_answers_session on public.refresh_answers (session_id);
create index if not exists refresh_answers_answered_at on public.refresh_answers (answered_at);

-- Keeps an answer, and drops a few that are past their time: more than one, so that they grow fewer. Those that somebody
-- else is dropping are theirs.
create or replace function public.keep_answer(
  p_key text, p_session_id uuid, p_moment timestamptz, p_outcome text, p_retry_after_seconds float8, p_reused boolean,
  p_status jsonb
) returns void
language sql
set search_path = ''
as $$
  insert into public.refresh_answers as kept
    (key_digest, session_id, answered_at, outcome, retry_after_seconds, reused, status)
  values (p_key, p_session_id, p_moment, p_outcome, p_retry_after_seconds, p_reused, p_status)
  on conflict (key_digest) do update
  set session_id = excluded.session_id, answered_at = excluded.answered_at, outcome = excluded.outcome,
      retry_after_seconds = excluded.retry_after_seconds, reused = excluded.reused, status = excluded.status;
  delete from public.refresh_answers kept
  where kept.key_digest in (
    select old.key_digest from public.refresh_answers old
    where old.answered_at < p_moment - interval '24 hours'
    order by old.answered_at
    limit 10
    for update skip locked)
$$;

drop function if exists public.claim_session(text, uuid, uuid, integer, integer, integer, text, jsonb);

-- Takes a lease on one session of the user with this e-mail: the one named, else the one signed in most recently.
-- Another user's session is answered like one that does not exist. Repeated with the same p_holder it gives the
-- same lease again, so that a caller whose answer was lost can ask once more. An exhausted session is taken up again.
--
-- p_key: a digest of the request's Idempotency-Key and the user's e-mail. What an earlier request with it was answered,
-- a day ago at the most and not before the last sign-in, is answered again: `replayed`, with the status and the time of
-- then. If it was about another of the user's sessions than the one named now, `key_reused`.
-- One key for two sessions at the same moment is not told: both are refreshed, and the later answer is kept.
create or replace function public.claim_session(
  p_email text, p_session_id uuid, p_holder uuid, p_lease_seconds integer, p_reuse_seconds integer,
  p_min_seconds integer, p_upstream text, p_policy jsonb, p_key text default null
) returns jsonb
language plpgsql
set search_path = ''
as $$
declare
  policy public.refresh_policy;
  up public.refresh_upstreams;
  session public.auth_sessions;
  moment timestamptz;
  before public.refresh_answers;
  may record;
  held text;
  retry_in float8;
  wait_until timestamptz;
  result text;
  claimed jsonb;
begin
  select candidate.* into session
  from public.auth_sessions candidate
  where candidate.user_email = p_email and (p_session_id is null or candidate.id = p_session_id)
  order by candidate.signed_in_at desc nulls last, candidate.id
  limit 1
  for update;
  moment := public.keepalive_now();

  if session.id is null then
    return jsonb_build_object('result', 'not_found', 'now', public.to_millis(moment));
  end if;

  if p_key is not null then
    select kept.* into before
    from public.refresh_answers kept
    join public.auth_sessions meant on meant.id = kept.session_id and meant.user_email = p_email
    where kept.key_digest = p_key
      and kept.answered_at > moment - interval '24 hours'
      and kept.answered_at >= coalesce(meant.signed_in_at, '-infinity')
      -- A failure that passes is answered again until the time when it said to come back, or half a minute, as the Worker
      -- says where nothing better is known.
      and (kept.outcome in ('refreshed', 'expired', 'unusable')
        or kept.answered_at + public.seconds(coalesce(kept.retry_after_seconds, 30)) > moment);
    if before.session_id = session.id then
      return jsonb_build_object(
        'result', 'replayed',
        'now', public.to_millis(before.answered_at),
        'status', before.status,
        'answer', jsonb_build_object(
          'outcome', before.outcome, 'retryAfterSeconds', before.retry_after_seconds, 'reused', before.reused));
    elsif before.session_id is not null and p_session_id is not null then
      return jsonb_build_object('result', 'key_reused', 'now', public.to_millis(moment));
    end if;
    -- Not named, another session is meant because its sign-in is newer: the answer of before is none to that.
  end if;

  wait_until := greatest(
    session.last_attempt_at + public.seconds(p_min_seconds),
    case when session.last_refresh_error = 'throttled' then session.next_refresh_at end);

  result := case
    when session.refresh_state = 'expired' then 'expired'
    when session.lease_expires_at > moment and session.lease_holder <> p_holder then 'busy'
    when session.lease_expires_at > moment then 'again'
    -- A failure since then is not to be hidden by it.
    when session.last_refresh_date > moment - public.seconds(p_reuse_seconds)
      and session.last_refresh_error is null then 'reused'
    when wait_until > moment then 'too_soon'
    else 'claimed'
  end;

  if result = 'claimed' then
    policy := public.keep_policy(p_policy);
    up := public.lock_upstream(p_upstream);
    moment := public.keepalive_now();
    select * into may from public.admit(up, policy, p_holder, 1, true, moment);
    if may.most = 0 then
      result := 'spared';
      held := may.held;
      retry_in := may.retry;
    else
      perform public.take_up_again(array[session.id], moment);
      claimed := public.lease_sessions(
        array[session.id], p_holder, 'user', p_lease_seconds, moment, may.first_start, may.rate) -> 0;
      perform public.take_starts(p_upstream, p_holder, may.width, 1, may.first_start, may.rate, may.probe, true,
        moment, p_lease_seconds);
      select target.* into session from public.auth_sessions target where target.id = session.id;
    end if;
  elsif result = 'again' then
    -- The same lease keeps its fence: the holder may be at work under it already.
    result := 'claimed';
    claimed := public.claimed_session_json(session) || '{"startsInMs": 0}';
  elsif result = 'reused' and p_key is not null then
    perform public.keep_answer(
      p_key, session.id, moment, 'refreshed', null, true, public.session_status_json(session));
  end if;

  return jsonb_strip_nulls(jsonb_build_object(
    'held', held,
    'retryAfterSeconds', case result
      when 'too_soon' then greatest(1, ceil(extract(epoch from wait_until - moment)))::integer
      when 'spared' then greatest(1, ceil(retry_in))::integer
    end
  )) || jsonb_build_object(
    'result', result,
    'now', public.to_millis(moment),
    'status', public.session_status_json(session),
    'session', claimed);
end
$$;

-- The same as without p_key, of a single entry whose request carried an Idempotency-Key: if it is written, so is its
-- answer, in the same transaction. A repetition is told the time and the status of the first.
create or replace function public.finish_sessions(
  p_holder uuid, p_run_id uuid, p_trigger text, p_results jsonb, p_upstream text, p_done boolean, p_key text
) returns jsonb
language plpgsql
set search_path = ''
as $$
declare
  finished jsonb := public.finish_sessions(p_holder, p_run_id, p_trigger, p_results, p_upstream, p_done);
  told jsonb := finished -> 'results' -> 0;
  status jsonb := told -> 'status';
  entry jsonb := p_results -> 0;
  before public.refresh_answers;
begin
  if told ->> 'result' in ('written', 'doubted') and entry ->> 'kind' <> 'released' then
    perform public.keep_answer(
      p_key, (entry ->> 'id')::uuid,
      -- To the millisecond, as it is told.
      'epoch'::timestamptz + (finished ->> 'now')::bigint * interval '1 millisecond',
      -- As the asker is told it: what is not believed to be over was not understood.
      case
        when entry ->> 'outcome' = 'expired' and status ->> 'state' <> 'expired' then 'unrecognised'
        else entry ->> 'outcome'
      end,
      (entry ->> 'retryAfterSeconds')::float8, false, status);
  elsif told ->> 'result' = 'already' then
    select kept.* into before
    from public.refresh_answers kept
    where kept.key_digest = p_key and kept.session_id = (entry ->> 'id')::uuid;
    if found then
      finished := finished || jsonb_build_object(
        'now', public.to_millis(before.answered_at),
        'results', jsonb_build_array(told || jsonb_build_object('status', before.status)));
    end if;
  end if;
  return finished;
end
$$;

-- Only the service role gets in, as everywhere.

alter table public.refresh_answers enable row level security;

do $$
declare
  role_name text;
  function_name regprocedure;
  names text[] := array['keep_answer', 'claim_session', 'finish_sessions'];
begin
  for function_name in
    select oid::regprocedure from pg_proc where pronamespace = 'public'::regnamespace and proname = any (names)
  loop
    execute format('revoke all on function %s from public', function_name);
    foreach role_name in array array['anon', 'authenticated'] loop
      if exists (select from pg_roles where rolname = role_name) then
        execute format('revoke all on function %s from %I', function_name, role_name);
      end if;
    end loop;
    if exists (select from pg_roles where rolname = 'service_role') then
      execute format('grant execute on function %s to service_role', function_name);
    end if;
  end loop;
  revoke all on table public.refresh_answers from public;
  foreach role_name in array array['anon', 'authenticated'] loop
    if exists (select from pg_roles where rolname = role_name) then
      execute format('revoke all on table public.refresh_answers from %I', role_name);
    end if;
  end loop;
  if exists (select from pg_roles where rolname = 'service_role') then
    grant select, insert, update, delete on table public.refresh_answers to service_role;
  end if;
end
$$;

notify pgrst, 'reload schema';

-- The functions of 20261124000400 again, now with regard for upstream: all Workers' calls are counted, paced and held
-- back here. What they decide is mirrored by the simulation crate's model, which a test compares with them.

-- The clock and the dice of all functions here: a test puts its own in their place.
create or replace function public.keepalive_now() returns timestamptz
language sql volatile
as $$ select pg_catalog.clock_timestamp() $$;

create or replace function public.keepalive_unit() returns float8
language sql volatile
as $$ select pg_catalog.random() $$;

-- The small functions below have no search_path of their own: it would keep the planner from putting them in their
-- callers' place, and called one by one they were most of what a finish took. What they name is pg_catalog's, or
-- qualified, and their callers' search_path is empty. For the same reason to_millis promises no more than extract does.
create or replace function public.to_millis(moment timestamptz) returns bigint
language sql stable
as $$ select floor(extract(epoch from moment) * 1000)::bigint $$;

create or replace function public.seconds(number float8) returns interval
language sql immutable
as $$ select make_interval(secs => number) $$;

-- When a session showed its last sign of life: a refresh or a sign-in.
create or replace function public.alive_at(session public.auth_sessions) returns timestamptz
language sql immutable
as $$ select greatest(session.last_refresh_date, session.signed_in_at) $$;

-- When a refresh has to begin so that the session is fresh at its next wished-for time: a minute and a half before,
-- as the cron may take a minute. Null without such a wish.
create or replace function public.next_wish(p_session_id uuid, p_moment timestamptz) returns timestamptz
language sql stable
set search_path = ''
as $$
  select min(wish.fresh_at) - interval '90 seconds'
  from public.refresh_wishes wish
  where wish.session_id = p_session_id and wish.fresh_at - interval '90 seconds' > p_moment
$$;

-- The same for a session that failed: where such a time is less than a minute and a half off, a quarter of a minute from now.
create or replace function public.next_try_for_wish(p_session_id uuid, p_moment timestamptz) returns timestamptz
language sql stable
set search_path = ''
as $$
  select greatest(wish.fresh_at - interval '90 seconds', p_moment + interval '15 seconds')
  from public.refresh_wishes wish
  where wish.session_id = p_session_id and wish.fresh_at > p_moment
  order by wish.fresh_at
  limit 1
$$;

create or replace function public.session_status_json(session public.auth_sessions) returns jsonb
language sql volatile
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
    'leased', coalesce(session.lease_expires_at > public.keepalive_now(), false),
    'createdAt', public.to_millis(coalesce(session.created_at, session.signed_in_at)),
    'signedInAt', public.to_millis(session.signed_in_at))
$$;

create or replace function public.claimed_session_json(session public.auth_sessions) returns jsonb
language sql volatile
as $$
  select jsonb_build_object(
    'id', session.id,
    'token', session.aimharder_token,
    'cookies', session.aimharder_cookies,
    'fingerprint', session.fingerprint,
    'method', session.refresh_method,
    'fence', session.lease_fence,
    'ageSeconds', coalesce(extract(epoch from public.keepalive_now() - public.alive_at(session)), 0),
    'inDoubt', session.in_doubt_since is not null,
    'refusalsInDoubt', session.refusals_in_doubt,
    'consecutiveFailures', session.consecutive_failures)
$$;

create or replace function public.note_sign_in() returns trigger
language plpgsql
set search_path = ''
as $$
declare
  moment timestamptz := public.keepalive_now();
  interval_seconds float8 := coalesce((select policy.interval_seconds from public.refresh_policy policy), 1200);
  -- As after a refresh (due.rs): jitter, and a minute for the cron.
  fresh_until timestamptz := moment + public.seconds(
    least(interval_seconds * (0.80 + 0.15 * public.keepalive_unit()), greatest(interval_seconds - 60, 0)));
begin
  if tg_op = 'INSERT' then
    new.signed_in_at := coalesce(new.signed_in_at, moment);
    if new.refresh_state = 'active' then
      new.next_refresh_at := coalesce(new.next_refresh_at, fresh_until);
    end if;
    return new;
  end if;
  new.refresh_state := 'active';
  new.last_refresh_error := null;
  new.consecutive_failures := 0;
  new.session_failures := 0;
  new.refusals_in_doubt := 0;
  new.in_doubt_since := null;
  new.lease_holder := null;
  new.lease_expires_at := null;
  new.lease_fence := old.lease_fence + 1;
  new.signed_in_at := moment;
  new.next_refresh_at := least(fresh_until, public.next_wish(new.id, moment));
  return new;
end
$$;

-- What finish_sessions writes is no sign-in: told here, since a call of the function for each row costs more than the row.
create or replace trigger auth_sessions_note_sign_in
  before update of aimharder_token, aimharder_cookies on public.auth_sessions
  for each row
  when (
    (old.aimharder_token is distinct from new.aimharder_token
      or old.aimharder_cookies is distinct from new.aimharder_cookies)
    and coalesce(current_setting('keepalive.finishing', true), '') <> 'on'
  )
  execute function public.note_sign_in();

-- Takes over what a Worker's settings say.
create or replace function public.keep_policy(p_policy jsonb) returns public.refresh_policy
language plpgsql
set search_path = ''
as $$
declare
  policy public.refresh_policy;
begin
  update public.refresh_policy target
  set interval_seconds = (p_policy ->> 'intervalSeconds')::integer,
      max_in_flight = (p_policy ->> 'maxInFlight')::integer,
      calls_per_second = (p_policy ->> 'callsPerSecond')::float8,
      exhaust_after = (p_policy ->> 'exhaustAfter')::integer
  where (target.interval_seconds, target.max_in_flight, target.calls_per_second, target.exhaust_after)
    is distinct from ((p_policy ->> 'intervalSeconds')::integer, (p_policy ->> 'maxInFlight')::integer,
      (p_policy ->> 'callsPerSecond')::float8, (p_policy ->> 'exhaustAfter')::integer);
  select * into strict policy from public.refresh_policy;
  return policy;
end
$$;

-- The upstream's row, locked until the transaction's end. Claims take it before they look at sessions, which they never
-- wait for; whoever holds sessions may wait for it.
create or replace function public.lock_upstream(p_upstream text) returns public.refresh_upstreams
language plpgsql
set search_path = ''
as $$
declare
  found_row public.refresh_upstreams;
begin
  select * into found_row from public.refresh_upstreams where upstream = p_upstream for update;
  if not found then
    insert into public.refresh_upstreams (upstream) values (p_upstream) on conflict do nothing;
    select * into strict found_row from public.refresh_upstreams where upstream = p_upstream for update;
  end if;
  return found_row;
end
$$;

-- Calls a second that upstream gets now. After a 429, or a recovery, it grows by a hundredth of the policy's each second.
create or replace function public.current_rate(
  up public.refresh_upstreams, policy public.refresh_policy, p_moment timestamptz
) returns float8
language sql immutable
set search_path = ''
as $$
  -- Of nulls least() takes no notice.
  select least(policy.calls_per_second,
    up.rate + policy.calls_per_second * 0.01 * greatest(0, extract(epoch from p_moment - up.rate_at)::float8))
$$;

-- Whether, and with how many calls at once, a holder may call upstream now, and when the first of them begins. Nothing
-- is taken yet. `held` names what stands against it, `retry` when that may be over.
create or replace function public.admit(
  up public.refresh_upstreams, policy public.refresh_policy, p_holder uuid, p_width integer, p_urgent boolean,
  p_moment timestamptz,
  out held text, out retry float8, out width integer, out most integer, out first_start timestamptz,
  out rate float8, out probe boolean
)
language plpgsql
set search_path = ''
as $$
declare
  others integer;
  -- Batches hand out starts this far ahead; who waits for an answer is put off for less.
  ahead interval := case when p_urgent then interval '3 seconds' else interval '5 seconds' end;
begin
  width := 0;
  most := 0;
  rate := public.current_rate(up, policy, p_moment);
  probe := up.breaker <> 'closed';

  if up.paused_until > p_moment then
    held := 'paused';
    retry := extract(epoch from up.paused_until - p_moment);
    return;
  end if;
  if probe and up.breaker_until > p_moment then
    held := 'breaker';
    retry := extract(epoch from up.breaker_until - p_moment);
    return;
  end if;

  delete from public.refresh_slots slot where slot.upstream = up.upstream and slot.expires_at <= p_moment;
  select coalesce(sum(slot.width), 0) into others
  from public.refresh_slots slot
  where slot.upstream = up.upstream and slot.holder <> p_holder;
  -- An eighth is kept for those who wait for their answer.
  width := least(p_width, policy.max_in_flight - others
    - case when p_urgent then 0 else policy.max_in_flight / 8 end);
  if width <= 0 then
    width := 0;
    held := 'in_flight';
    retry := 1;
    return;
  end if;

  first_start := greatest(p_moment, case when p_urgent then up.next_urgent_at else up.next_start_at end);
  if probe then
    first_start := p_moment;
    width := 1;
    most := 1;
  elsif first_start >= p_moment + ahead then
    held := 'rate';
    retry := greatest(extract(epoch from first_start - (p_moment + ahead)), 1);
  else
    most := floor(extract(epoch from p_moment + ahead - first_start)::float8 * rate)::integer + 1;
  end if;
end
$$;

-- Notes that a holder took `p_count` starts from `p_first` on.
create or replace function public.take_starts(
  p_upstream text, p_holder uuid, p_width integer, p_count integer, p_first timestamptz, p_rate float8,
  p_probe boolean, p_urgent boolean, p_moment timestamptz, p_lease_seconds integer
) returns void
language plpgsql
set search_path = ''
as $$
begin
  update public.refresh_upstreams up
  set next_start_at = case when p_urgent then greatest(up.next_start_at, p_moment) else p_first end
        + public.seconds(p_count / p_rate),
      next_urgent_at = case when p_urgent then p_first + public.seconds(p_count / p_rate) else up.next_urgent_at end,
      breaker = case when p_probe then 'half_open' else up.breaker end,
      breaker_until = case when p_probe then p_moment + public.seconds(p_lease_seconds) else up.breaker_until end
  where up.upstream = p_upstream;

  insert into public.refresh_slots as slot (holder, upstream, width, expires_at)
  values (p_holder, p_upstream, p_width, p_moment + public.seconds(p_lease_seconds))
  on conflict (holder) do update
  set width = greatest(slot.width, excluded.width),
      expires_at = greatest(slot.expires_at, excluded.expires_at);
end
$$;

-- Leases these sessions to a holder and hands them out with their secrets, in the order given. The lease is the mark that
-- a token may be presented: who finds one that ran out knows that its holder died, or could not write, and that
-- upstream may have handed out another token since.
create or replace function public.lease_sessions(
  p_ids uuid[], p_holder uuid, p_trigger text, p_lease_seconds integer, p_moment timestamptz, p_first timestamptz,
  p_rate float8
) returns jsonb
language plpgsql
set search_path = ''
as $$
declare
  claimed jsonb;
begin
  insert into public.refresh_attempts (session_id, fence, trigger, finished_at, duration_ms, outcome, tries)
  select session.id, session.lease_fence, p_trigger, p_moment, 0, 'abandoned', 0
  from public.auth_sessions session
  where session.id = any (p_ids) and session.lease_holder is not null
  on conflict do nothing;

  with numbered as (
    select element.id, element.position
    from unnest(p_ids) with ordinality as element (id, position)
  ), taken as (
    update public.auth_sessions session
    set in_doubt_since = case
          when session.lease_holder is not null then coalesce(session.in_doubt_since, p_moment)
          else session.in_doubt_since
        end,
        lease_holder = p_holder,
        lease_expires_at = p_moment + public.seconds(p_lease_seconds),
        lease_fence = session.lease_fence + 1
    from numbered
    where session.id = numbered.id
    returning session, numbered.position
  )
  select jsonb_agg(
    public.claimed_session_json(taken.session) || jsonb_build_object('startsInMs',
      greatest(0, round(extract(epoch from p_first - p_moment) * 1000 + (taken.position - 1) * 1000 / p_rate)))
    order by taken.position)
  into claimed from taken;
  return coalesce(claimed, '[]');
end
$$;

-- The sessions to claim next, as many as p_limit: oldest due first, but none of a user's beyond a quarter of them while
-- another user waits. `for update skip locked` comes afterwards: nothing is locked here.
create or replace function public.oldest_due(p_limit integer, p_moment timestamptz) returns uuid[]
language plpgsql stable
set search_path = ''
as $$
declare
  share integer := greatest(1, p_limit / 4);
  -- As a rule the oldest are from many users: one more shows that nobody is tied with the last.
  look integer := p_limit + 1;
  crowding text[] := '{}';
  seen record;
  -- The candidates, side by side.
  ids uuid[] := '{}';
  emails text[] := '{}';
  due_times timestamptz[] := '{}';
  picked uuid[];
begin
  -- Users whose sessions fill what is looked at are looked past, so that those behind them are seen.
  for turn in 0..16 loop
    select array_agg(counted.id order by counted.next_refresh_at) as ids,
      array_agg(counted.user_email order by counted.next_refresh_at) as emails,
      array_agg(counted.next_refresh_at order by counted.next_refresh_at) as due_times,
      array_agg(distinct counted.user_email) filter (where counted.of_user > share) as newly
    into seen
    from (
      select oldest.*, count(*) over (partition by oldest.user_email) as of_user
      from (
        select session.id, coalesce(session.user_email, '') as user_email, session.next_refresh_at
        from public.auth_sessions session
        where session.refresh_state = 'active'
          and session.auto_refresh_enabled
          and session.next_refresh_at <= p_moment
          and (session.lease_expires_at is null or session.lease_expires_at <= p_moment)
          and coalesce(session.user_email, '') <> all (crowding)
        order by session.next_refresh_at
        limit look
      ) oldest
    ) counted;
    if turn = 0 and cardinality(seen.ids) = look
        and (seen.newly is not null or seen.due_times[p_limit] = seen.due_times[look]) then
      look := p_limit * 4;
      continue;
    end if;
    ids := ids || seen.ids;
    emails := emails || seen.emails;
    due_times := due_times || seen.due_times;
    exit when coalesce(cardinality(seen.ids), 0) < look or seen.newly is null;
    crowding := crowding || seen.newly;
  end loop;

  select array_agg(chosen.id order by chosen.place) into picked
  from (
    select ranked.id, row_number() over (order by ranked.nth > share, ranked.due_at, ranked.id) as place
    from (
      select candidate.id, candidate.due_at, row_number() over (
        partition by candidate.user_email order by candidate.due_at, candidate.id) as nth
      -- Who doesn't crowd is seen in each turn.
      from (
        select distinct every.id, every.user_email, every.due_at
        from unnest(ids, emails, due_times) as every (id, user_email, due_at)
      ) candidate
    ) ranked
    order by place
    limit p_limit
  ) chosen;
  return coalesce(picked, '{}');
end
$$;

drop function if exists public.claim_due_sessions(uuid, text, uuid, integer, integer, integer);

-- Takes a lease on up to p_limit due sessions, opens the run's record, and says how many calls at once the run may make
-- (`width`), when each session's call may begin (`startsInMs`), and what held back more (`held`, `retryInMs`).
create or replace function public.claim_due_sessions(
  p_run_id uuid, p_trigger text, p_holder uuid, p_limit integer, p_width integer, p_lease_seconds integer,
  p_upstream text, p_policy jsonb
) returns jsonb
language plpgsql
set search_path = ''
as $$
declare
  policy public.refresh_policy := public.keep_policy(p_policy);
  up public.refresh_upstreams;
  moment timestamptz;
  may record;
  wanted integer;
  ids uuid[] := '{}';
  claimed jsonb := '[]';
  held text;
  retry_ms bigint;
begin
  insert into public.refresh_runs (id, trigger) values (p_run_id, p_trigger) on conflict (id) do nothing;
  up := public.lock_upstream(p_upstream);
  moment := public.keepalive_now();
  select * into may from public.admit(up, policy, p_holder, p_width, false, moment);
  wanted := least(p_limit, may.most);
  if wanted > 0 then
    select coalesce(array_agg(locked.id order by locked.position), '{}') into ids
    from (
      select session.id, element.position
      from unnest(public.oldest_due(wanted, moment)) with ordinality as element (id, position)
      join public.auth_sessions session on session.id = element.id
      where session.refresh_state = 'active'
        and session.auto_refresh_enabled
        and session.next_refresh_at <= moment
        and (session.lease_expires_at is null or session.lease_expires_at <= moment)
      for update of session skip locked
    ) locked;
  end if;
  if cardinality(ids) > 0 then
    claimed := public.lease_sessions(
      ids, p_holder, p_trigger, p_lease_seconds, moment, may.first_start, may.rate);
    perform public.take_starts(p_upstream, p_holder, may.width, cardinality(ids), may.first_start, may.rate,
      may.probe, false, moment, p_lease_seconds);
  end if;

  if may.held is not null then
    held := may.held;
    retry_ms := ceil(may.retry * 1000);
  elsif cardinality(ids) = may.most and may.most < p_limit then
    -- Not for want of due ones: more can be had when further starts are handed out.
    held := case when may.probe then 'breaker' else 'rate' end;
    retry_ms := case when may.probe then 1000 else greatest(2500, ceil(1000 / may.rate)) end;
  end if;
  return jsonb_build_object(
    'now', public.to_millis(moment), 'sessions', claimed, 'width', may.width, 'held', held, 'retryInMs', retry_ms);
end
$$;

-- Gives exhausted sessions another chance: due at once, so that the batch sees to them if this attempt is never finished.
create or replace function public.take_up_again(p_ids uuid[], p_moment timestamptz) returns void
language sql
set search_path = ''
as $$
  update public.auth_sessions session
  set refresh_state = 'active', session_failures = 0, next_refresh_at = coalesce(session.next_refresh_at, p_moment)
  where session.id = any (p_ids) and session.refresh_state = 'exhausted'
$$;

drop function if exists public.claim_session(text, uuid, uuid, integer, integer, integer);

-- Takes a lease on one session of the user with this e-mail: the one named, else the one signed in most recently.
-- Another user's session is answered like one that does not exist. Repeated with the same p_holder it gives the
-- same lease again, so that a caller whose answer was lost can ask once more. An exhausted session is taken up again.
create or replace function public.claim_session(
  p_email text, p_session_id uuid, p_holder uuid, p_lease_seconds integer, p_reuse_seconds integer,
  p_min_seconds integer, p_upstream text, p_policy jsonb
) returns jsonb
language plpgsql
set search_path = ''
as $$
declare
  policy public.refresh_policy;
  up public.refresh_upstreams;
  session public.auth_sessions;
  moment timestamptz;
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

  wait_until := greatest(
    session.last_attempt_at + public.seconds(p_min_seconds),
    case when session.last_refresh_error = 'throttled' then session.next_refresh_at end);

  result := case
    when session.refresh_state = 'expired' then 'expired'
    when session.lease_expires_at > moment and session.lease_holder <> p_holder then 'busy'
    when session.lease_expires_at > moment then 'again'
    when session.last_refresh_date > moment - public.seconds(p_reuse_seconds) then 'reused'
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

-- The sessions that are meant, one for each name, in their order, ids before e-mails; null where there is none. An e-mail
-- stands for that user's session signed in most recently.
create or replace function public.named_sessions(p_ids uuid[], p_emails text[]) returns uuid[]
language sql stable
set search_path = ''
as $$
  select coalesce(array_agg(meant.id order by meant.kind, meant.position), '{}')
  from (
    select 1 as kind, element.position, session.id
    from unnest(p_ids) with ordinality as element (id, position)
    left join public.auth_sessions session on session.id = element.id
    union all
    select 2, element.position, latest.id
    from unnest(p_emails) with ordinality as element (email, position)
    left join lateral (
      select session.id from public.auth_sessions session
      where session.user_email = element.email
      order by session.signed_in_at desc nulls last, session.id
      limit 1
    ) latest on true
  ) meant
$$;

-- Takes leases, ahead of what is merely due, on those of the named sessions whose last sign of life is older than
-- p_max_age_seconds. Answers one entry for each name, as named_sessions() does: `result` is fresh, claimed, busy (somebody
-- else is at it), spared (upstream is; ask again), throttled (upstream asked to leave this one alone), expired or
-- not_found. Repeated with the same p_holder it gives the same leases again, so that a caller whose answer was lost can
-- ask once more. With a p_width of 0 it takes none.
create or replace function public.claim_sessions(
  p_run_id uuid, p_trigger text, p_holder uuid, p_ids uuid[], p_emails text[], p_max_age_seconds integer,
  p_limit integer, p_width integer, p_lease_seconds integer, p_upstream text, p_policy jsonb
) returns jsonb
language plpgsql
set search_path = ''
as $$
declare
  policy public.refresh_policy := public.keep_policy(p_policy);
  named uuid[] := public.named_sessions(p_ids, p_emails);
  up public.refresh_upstreams;
  moment timestamptz;
  may record;
  ids uuid[];
  results jsonb;
  claimed jsonb := '[]';
begin
  insert into public.refresh_runs (id, trigger) values (p_run_id, p_trigger) on conflict (id) do nothing;
  up := public.lock_upstream(p_upstream);
  moment := public.keepalive_now();
  select * into may from public.admit(up, policy, p_holder, p_width, true, moment);

  select coalesce(jsonb_object_agg(session.id, case
      when session.refresh_state = 'expired' then 'expired'
      when session.lease_expires_at > moment and session.lease_holder = p_holder then 'claimed'
      when session.lease_expires_at > moment then 'busy'
      -- A 429 since casts no doubt on a success.
      when coalesce(session.last_refresh_error, 'throttled') = 'throttled'
        and public.alive_at(session) >= moment - public.seconds(p_max_age_seconds) then 'fresh'
      when session.last_refresh_error = 'throttled' and session.next_refresh_at > moment then 'throttled'
      else 'spared'
    end), '{}')
  into results
  from public.auth_sessions session
  where session.id = any (named);

  select coalesce(array_agg(locked.id order by locked.position), '{}') into ids
  from (
    select session.id, element.position
    from unnest(public.first_distinct(named, cardinality(named))) with ordinality as element (id, position)
    join public.auth_sessions session on session.id = element.id
    where results ->> session.id::text = 'spared'
      and (session.lease_expires_at is null or session.lease_expires_at <= moment)
    order by element.position
    limit least(may.most, p_limit)
    for update of session skip locked
  ) locked;
  if cardinality(ids) > 0 then
    perform public.take_up_again(ids, moment);
    claimed := public.lease_sessions(
      ids, p_holder, p_trigger, p_lease_seconds, moment, may.first_start, may.rate);
    perform public.take_starts(p_upstream, p_holder, may.width, cardinality(ids), may.first_start, may.rate,
      may.probe, true, moment, p_lease_seconds);
  end if;
  -- What an earlier call of this holder leased keeps its fence, and its right to a call.
  select coalesce(jsonb_agg(public.claimed_session_json(session) || '{"startsInMs": 0}' order by session.id), '[]') || claimed
  into claimed
  from public.auth_sessions session
  where results ->> session.id::text = 'claimed' and session.id = any (named) and session.lease_holder = p_holder;

  return jsonb_build_object(
    'now', public.to_millis(moment), 'held', may.held,
    'width', case when claimed = '[]' then may.width else greatest(may.width, 1) end,
    'retryInMs', case when may.held is not null then ceil(may.retry * 1000)::bigint else 250 end,
    'sessions', claimed,
    'entries', (
      select coalesce(jsonb_agg(jsonb_build_object(
          'result', case
            when session.id is null then 'not_found'
            when session.id = any (ids) then 'claimed'
            else results ->> session.id::text
          end,
          'status', case when session.id is not null then public.session_status_json(session) end
        ) order by element.position), '[]')
      from unnest(named) with ordinality as element (id, position)
      left join public.auth_sessions session on session.id = element.id));
end
$$;

drop function if exists public.finish_together(uuid, uuid, text, jsonb);

-- The one statement that writes what came of claimed sessions: token, cookies and tracking, and only where the lease
-- is still the caller's. May be repeated: an entry that is written already is told as such. Called by finish_sessions.
-- p_exhaust_after: failures of its own, in a row, that exhaust a session; null where they are everybody's.
create or replace function public.finish_together(
  p_holder uuid, p_run_id uuid, p_trigger text, p_results jsonb, p_moment timestamptz, p_exhaust_after integer
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
    select entry.*, session.alive as alive_at, session.exhausts
    from jsonb_to_recordset(p_results) as entry (
      id uuid, fence bigint, kind text, outcome text, token text, cookies jsonb, fingerprint text,
      "nextInSeconds" float8, "upstreamStatus" smallint, "durationMs" bigint, tries smallint, own boolean,
      "saidOver" boolean, "retryAfterSeconds" float8)
    left join lateral (
      select public.alive_at(session) as alive,
        coalesce(entry.own and session.session_failures + 1 >= p_exhaust_after, false) as exhausts
      from public.auth_sessions session where session.id = entry.id
    ) session on true
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
        last_refresh_date = case when entry.kind = 'refreshed' then p_moment else session.last_refresh_date end,
        refresh_count = session.refresh_count + case when entry.kind = 'refreshed' then 1 else 0 end,
        last_refresh_error = case entry.kind
          when 'refreshed' then null
          when 'released' then session.last_refresh_error
          else entry.outcome
        end,
        last_attempt_at = case when entry.kind = 'released' then session.last_attempt_at else p_moment end,
        consecutive_failures = case entry.kind
          when 'refreshed' then 0
          when 'released' then session.consecutive_failures
          else session.consecutive_failures + 1
        end,
        session_failures = case
          when entry.kind = 'refreshed' then 0
          when entry.own and p_exhaust_after is not null then session.session_failures + 1
          else session.session_failures
        end,
        -- The third is believed.
        refusals_in_doubt = case
          when entry.kind = 'refreshed' then 0
          when entry.kind = 'failed' and entry."saidOver" then session.refusals_in_doubt + 1
          else session.refusals_in_doubt
        end,
        -- After these upstream may have handed out a token that nobody saw.
        in_doubt_since = case
          when entry.kind = 'refreshed' then null
          when entry.outcome in ('unreachable', 'timed_out', 'upstream_fault', 'unrecognised', 'unwritten')
            then coalesce(session.in_doubt_since, p_moment)
          else session.in_doubt_since
        end,
        refresh_state = case
          when entry.kind = 'refreshed' then 'active'
          when entry.kind = 'expired' then 'expired'
          when entry.kind = 'failed' and entry.exhausts then 'exhausted'
          else session.refresh_state
        end,
        next_refresh_at = case
          when entry.kind = 'released' then session.next_refresh_at
          when entry.kind = 'expired' or (entry.kind = 'failed' and entry.exhausts) then null
          -- Upstream's own wish comes before a user's.
          when entry.kind = 'failed' and (entry.outcome = 'throttled' or entry."retryAfterSeconds" is not null)
            then p_moment + public.seconds(entry."nextInSeconds")
          when entry.kind = 'failed' then least(
            p_moment + public.seconds(entry."nextInSeconds"), public.next_try_for_wish(session.id, p_moment))
          else least(p_moment + public.seconds(entry."nextInSeconds"), public.next_wish(session.id, p_moment))
        end,
        updated_at = case when entry.kind = 'refreshed' then p_moment else session.updated_at end,
        lease_holder = null,
        lease_expires_at = null
    from entries entry
    where session.id = entry.id and session.lease_holder = p_holder and session.lease_fence = entry.fence
    returning session.id as session_id, entry.fence as entry_fence, public.session_status_json(session) as status
  ), noted as (
    insert into public.refresh_attempts
      (session_id, fence, run_id, trigger, finished_at, duration_ms, outcome, upstream_status, tries, age_seconds)
    select entry.id, entry.fence, p_run_id, p_trigger, p_moment, coalesce(entry."durationMs", 0), entry.outcome,
      entry."upstreamStatus", coalesce(entry.tries, 0), extract(epoch from p_moment - entry.alive_at)
    from entries entry
    join written on written.session_id = entry.id and written.entry_fence = entry.fence
    where entry.kind <> 'released'
  ), granted as (
    delete from public.refresh_wishes wish
    using entries entry
    join written on written.session_id = entry.id and written.entry_fence = entry.fence
    where wish.session_id = entry.id and entry.kind = 'refreshed'
      and wish.fresh_at - interval '90 seconds' <= p_moment
  ), told as (
    select entry.id, entry.fence, numbered.position,
      written.status as written_status,
      case when session.id is not null then public.session_status_json(session) end as standing_status,
      earlier.session_id is not null as written_before
    from jsonb_array_elements(p_results) with ordinality as numbered (entry_json, position)
    cross join lateral jsonb_to_record(numbered.entry_json) as entry (id uuid, fence bigint)
    left join written on written.session_id = entry.id and written.entry_fence = entry.fence
    left join public.auth_sessions session on session.id = entry.id
    left join public.refresh_attempts earlier
      on earlier.session_id = entry.id and earlier.fence = entry.fence and earlier.outcome <> 'abandoned'
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

drop function if exists public.finish_alone(uuid, uuid, text, jsonb);

-- Writes one entry by itself. A fingerprint that another of the user's rows took in this moment is left out. What the
-- table refuses, by a constraint or a trigger of its own, costs this entry alone: the failure is noted, so that the row
-- is not the oldest due for ever. A row that somebody else holds is told as such, to be tried again.
create or replace function public.finish_alone(
  p_holder uuid, p_run_id uuid, p_trigger text, p_entry jsonb, p_moment timestamptz, p_exhaust_after integer
) returns jsonb
language plpgsql
set search_path = ''
as $$
begin
  return public.finish_together(
    p_holder, p_run_id, p_trigger, jsonb_build_array(p_entry), p_moment, p_exhaust_after) -> 0;
exception
  when lock_not_available then
    return jsonb_build_object('id', p_entry -> 'id', 'result', 'locked');
  when integrity_constraint_violation or data_exception or plpgsql_error or with_check_option_violation then
    if p_entry ? 'fingerprint' then
      return public.finish_alone(
        p_holder, p_run_id, p_trigger, p_entry - 'fingerprint', p_moment, p_exhaust_after);
    end if;
    if p_entry ->> 'outcome' <> 'unwritten' then
      perform public.finish_alone(p_holder, p_run_id, p_trigger, p_entry - 'token' - 'cookies'
        || '{"kind": "failed", "outcome": "unwritten", "nextInSeconds": 300, "own": false}', p_moment, null);
    end if;
    return jsonb_build_object('id', p_entry -> 'id', 'result', 'refused');
end
$$;

-- Takes account of what upstream answered: paces, pauses, opens and closes the breaker. p_answered holds the entries
-- that were written just now. Answers what holds all further calls back, if anything does. Its own lock, waited for last;
-- whatever goes wrong here leaves the account as it is, since a token is worth more.
-- p_site_is_odd: refusals are the site's doing then, not sessions' own.
create or replace function public.note_answers(
  p_upstream text, p_answered jsonb, p_site_is_odd boolean, p_moment timestamptz
) returns text
language plpgsql
set search_path = ''
as $$
declare
  policy public.refresh_policy;
  up public.refresh_upstreams;
  told record;
  rate_now float8;
  is_wide boolean;
begin
  select count(*) filter (where entry.tries > 0) as answers,
    count(*) filter (where entry.outcome in ('upstream_fault', 'unreachable', 'timed_out')
      or (entry.outcome = 'refused' and p_site_is_odd)) as faults,
    count(*) filter (where entry.outcome = 'throttled') as throttles,
    coalesce(sum(entry.tries - 1) filter (where entry.tries > 1), 0) as repetitions,
    max(entry."retryAfterSeconds") filter (where entry.outcome = 'throttled') as retry_after,
    max(entry."retryAfterSeconds") filter (where entry.outcome = 'upstream_fault') as fault_retry_after,
    array_agg(entry.id order by entry.id) filter (where entry.outcome = 'throttled') as throttled
  into told
  from jsonb_to_recordset(p_answered) as entry (
    id uuid, outcome text, tries integer, "retryAfterSeconds" float8);
  if told.answers = 0 then
    return null;
  end if;
  up := public.lock_upstream(p_upstream);
  select * into strict policy from public.refresh_policy;
  rate_now := public.current_rate(up, policy, p_moment);

  if p_moment >= up.window_at + interval '15 seconds' then
    if p_moment >= up.window_at + interval '30 seconds' then
      up.answers := 0;
      up.faults := 0;
      up.throttles := 0;
      up.throttled := '{}';
    end if;
    up.throttled_before := up.throttled;
    up.throttled := '{}';
    up.answers_before := up.answers;
    up.faults_before := up.faults;
    up.throttles_before := up.throttles;
    up.answers := 0;
    up.faults := 0;
    up.throttles := 0;
    up.window_at := p_moment;
  end if;
  up.answers := up.answers + told.answers;
  up.faults := up.faults + told.faults;
  up.throttles := up.throttles + told.throttles;
  up.throttled := public.first_distinct(up.throttled || told.throttled, 2);

  -- Calls that were repeated within an attempt had no start of their own.
  up.next_start_at := greatest(up.next_start_at, p_moment) + public.seconds(told.repetitions / rate_now);

  is_wide := cardinality(public.first_distinct(up.throttled_before || up.throttled, 2)) = 2
    and 10 * (up.throttles + up.throttles_before) >= up.answers + up.answers_before;
  if told.throttles > 0 and is_wide then
    up.paused_until := greatest(up.paused_until,
      p_moment + public.seconds(least(coalesce(told.retry_after, 0), 3600)));
    -- What was under way when the first 429 came says nothing new.
    if coalesce(p_moment >= up.rate_at + interval '5 seconds', true) then
      up.rate := greatest(rate_now / 2, policy.calls_per_second / 50);
      up.rate_at := p_moment;
    end if;
  end if;

  if up.breaker = 'half_open' and told.answers > told.faults + told.throttles then
    -- Back again: what waited comes slowly at first.
    up.breaker := 'closed';
    up.openings := 0;
    up.answers := 0;
    up.faults := 0;
    up.answers_before := 0;
    up.faults_before := 0;
    up.rate := policy.calls_per_second / 10;
    up.rate_at := p_moment;
  elsif up.breaker = 'half_open' or (up.breaker = 'closed' and up.answers + up.answers_before >= 5
      and 2 * (up.faults + up.faults_before) >= up.answers + up.answers_before and told.faults > 0) then
    up.breaker := 'open';
    -- 15 seconds, doubled each time, two minutes at the most; jittered, and not before the time that upstream named.
    up.breaker_until := p_moment + public.seconds(greatest(
      least(15 * 2 ^ least(up.openings, 4), 120) * (0.75 + 0.5 * public.keepalive_unit()),
      least(coalesce(greatest(told.fault_retry_after, told.retry_after), 0), 3600)));
    up.openings := up.openings + 1;
  end if;

  update public.refresh_upstreams target
  set next_start_at = up.next_start_at, rate = up.rate, rate_at = up.rate_at, paused_until = up.paused_until,
      breaker = up.breaker, breaker_until = up.breaker_until, openings = up.openings, window_at = up.window_at,
      answers = up.answers, faults = up.faults, throttles = up.throttles, answers_before = up.answers_before,
      faults_before = up.faults_before, throttles_before = up.throttles_before, throttled = up.throttled,
      throttled_before = up.throttled_before
  where target.upstream = p_upstream
  returning target.* into up;
  return case when up.paused_until > p_moment then 'paused' when up.breaker = 'open' then 'breaker' end;
exception
  when others then
    return null;
end
$$;

-- The first p_most different ones.
create or replace function public.first_distinct(p_ids uuid[], p_most integer) returns uuid[]
language sql immutable
set search_path = ''
as $$
  select coalesce(array_agg(kept.id order by kept.position), '{}')
  from (
    select element.id, min(element.position) as position
    from unnest(p_ids) with ordinality as element (id, position)
    group by element.id
    order by position
    limit p_most
  ) kept
$$;

-- What the site last told of each session, among the last hundred attempts of the last hour and a half.
create or replace function public.last_answers(p_moment timestamptz) returns table (id uuid, outcome text)
language sql stable
set search_path = ''
as $$
  select distinct on (lately.session_id) lately.session_id, lately.outcome
  from (
    select attempt.session_id, attempt.outcome, attempt.finished_at, attempt.fence
    from public.refresh_attempts attempt
    where attempt.finished_at > p_moment - interval '90 minutes'
    order by attempt.finished_at desc, attempt.session_id desc, attempt.fence desc
    limit 100
  ) lately
  order by lately.session_id, lately.finished_at desc, lately.fence desc
$$;

-- Whether the site answers strangely, rather than single sessions being strange: three of them, and a fifth of all.
create or replace function public.site_is_odd(p_moment timestamptz) returns boolean
language sql stable
set search_path = ''
as $$
  select count(*) filter (where told.outcome in ('refused', 'unrecognised', 'expired')) >= 3
    and 5 * count(*) filter (where told.outcome in ('refused', 'unrecognised', 'expired')) >= count(*)
  from public.last_answers(p_moment) told
$$;

-- With more than ten sessions called over lately, and a fifth of all, it is the site that has lost its mind: for so long a
-- refusal is a failure like others, unless the session is older than any lived.
create or replace function public.doubt_refusals_of_all(p_results jsonb, p_moment timestamptz) returns jsonb
language sql stable
set search_path = ''
as $$
  with entries as (
    select element.entry, element.position, (element.entry ->> 'id')::uuid as id,
      element.entry ->> 'kind' = 'expired' or coalesce((element.entry ->> 'saidOver')::boolean, false) as called_over
    from jsonb_array_elements(p_results) with ordinality as element (entry, position)
  ), told as (
    -- Earlier ones that were not believed stand there as unrecognised.
    select last.id, last.outcome in ('expired', 'unrecognised') as over from public.last_answers(p_moment) last
    where exists (select from entries where entries.called_over)
      and not exists (select from entries where entries.id = last.id and entries.entry ->> 'kind' <> 'released')
    union all
    select entries.id, entries.called_over from entries where entries.entry ->> 'kind' <> 'released'
  ), share as (
    select count(*) filter (where told.over) as over, count(*) as sessions from told
  )
  select case
    when share.over <= 10 or 5 * share.over < share.sessions
      or not exists (select from entries where entries.called_over) then p_results
    else (
      select jsonb_agg(case
          when entries.called_over and public.alive_at(session) > p_moment - interval '90 minutes'
            then entries.entry || '{"kind": "failed", "outcome": "unrecognised", "own": false, "saidOver": true}'
          else entries.entry
        end order by entries.position)
      from entries
      left join public.auth_sessions session on session.id = entries.id)
  end
  from share
$$;

drop function if exists public.finish_sessions(uuid, uuid, text, jsonb);

-- Writes all entries in one statement; where one of them can't be written, each by itself, so that it doesn't take
-- the tokens of its neighbours with it. Called by the Worker. Other trouble, such as a full disk, is the caller's to
-- wait for.
--
-- p_results: [{"id", "fence", "kind": "refreshed" | "failed" | "expired" | "released", "outcome", "own": whether the
-- failure may be the session's own, "saidOver": whether the site called the session over, which is not believed yet,
-- "token", "cookies", "fingerprint", "nextInSeconds", "retryAfterSeconds", "upstreamStatus", "durationMs", "tries"}, …],
-- each session once. p_done: the holder makes no further calls.
-- An expired entry's nextInSeconds is for the case that it is not believed, which its result `doubted` tells.
-- `held` in the answer: what is claimed and not presented yet had better be given back.
create or replace function public.finish_sessions(
  p_holder uuid, p_run_id uuid, p_trigger text, p_results jsonb, p_upstream text, p_done boolean
) returns jsonb
language plpgsql
set search_path = ''
as $$
declare
  moment timestamptz := public.keepalive_now();
  results jsonb := public.doubt_refusals_of_all(p_results, moment);
  -- Of no account where all is well.
  site_is_odd boolean := case
    when exists (
      select from jsonb_to_recordset(p_results) as entry (own boolean, outcome text)
      where entry.own or entry.outcome = 'refused'
    ) then public.site_is_odd(moment)
    else false
  end;
  exhaust_after integer;
  answers jsonb;
  held text;
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

  select policy.exhaust_after into exhaust_after from public.refresh_policy policy where not site_is_odd;

  begin
    perform set_config('lock_timeout', '1500ms', true);
    answers := public.finish_together(p_holder, p_run_id, p_trigger, results, moment, exhaust_after);
  exception
    when lock_not_available or integrity_constraint_violation or data_exception or plpgsql_error
      or with_check_option_violation then
      perform set_config('lock_timeout', '50ms', true);
  end;

  if answers is null then
    answers := '[]';
    for numbered in
      -- In the order of their ids, as ever.
      select element.entry, element.position
      from jsonb_array_elements(results) with ordinality as element (entry, position)
      order by (element.entry ->> 'id')::uuid
    loop
      answers := answers || (
        public.finish_alone(p_holder, p_run_id, p_trigger, numbered.entry, moment, exhaust_after)
        || jsonb_build_object('position', numbered.position));
    end loop;
    select coalesce(jsonb_agg(told.answer - 'position' order by (told.answer ->> 'position')::integer), '[]')
    into answers
    from jsonb_array_elements(answers) as told (answer);
  end if;

  if p_done then
    delete from public.refresh_slots slot where slot.holder = p_holder;
  end if;
  held := public.note_answers(p_upstream, (
    select coalesce(jsonb_agg(element.entry), '[]')
    from jsonb_array_elements(results) with ordinality as element (entry, position)
    join jsonb_array_elements(answers) with ordinality as told (answer, position) using (position)
    where told.answer ->> 'result' = 'written' and element.entry ->> 'kind' <> 'released'
  ), site_is_odd, moment);
  if results <> p_results then
    select jsonb_agg(case
        when told.answer ->> 'result' = 'written' and results -> told.position::integer - 1 ->> 'kind'
          <> p_results -> told.position::integer - 1 ->> 'kind'
          then told.answer || '{"result": "doubted"}'
        else told.answer
      end order by told.position)
    into answers
    from jsonb_array_elements(answers) with ordinality as told (answer, position);
  end if;
  return jsonb_build_object('now', public.to_millis(moment), 'results', answers, 'held', held);
end
$$;

-- For a Worker of before, which may hold tokens while the migrations are applied.
create or replace function public.finish_sessions(
  p_holder uuid, p_run_id uuid, p_trigger text, p_results jsonb
) returns jsonb
language sql
set search_path = ''
as $$ select public.finish_sessions(p_holder, p_run_id, p_trigger, p_results, 'unknown', true) $$;

create or replace function public.session_status(p_email text, p_session_id uuid) returns jsonb
language sql volatile
set search_path = ''
as $$
  select jsonb_build_object(
    'now', public.to_millis(public.keepalive_now()),
    'status', (
      select public.session_status_json(session)
      from public.auth_sessions session
      where session.user_email = p_email and (p_session_id is null or session.id = p_session_id)
      order by session.signed_in_at desc nulls last, session.id
      limit 1))
$$;

-- How many sessions are due and not worked on; counted up to p_limit, so that it stays cheap with a large backlog. The
-- order makes the planner use the index of due times: without it, it hopes to meet p_limit due ones early in the table.
create or replace function public.due_sessions_count(p_limit integer default 10001) returns integer
language plpgsql volatile
set search_path = ''
as $$
declare
  moment timestamptz := public.keepalive_now();
begin
  return (
    select count(*)::integer
    from (
      select from public.auth_sessions session
      where session.refresh_state = 'active'
        and session.auto_refresh_enabled
        and session.next_refresh_at <= moment
        and (session.lease_expires_at is null or session.lease_expires_at <= moment)
      order by session.next_refresh_at
      limit p_limit
    ) due);
end
$$;

-- What a tick has before it: how much is due (counted up to p_limit), whether upstream is spared, how many calls at once
-- it may get, how long refreshes took lately, and how long sessions were found to live, measured anew each hour.
create or replace function public.outlook(p_upstream text, p_policy jsonb, p_limit integer) returns jsonb
language plpgsql
set search_path = ''
as $$
declare
  policy public.refresh_policy := public.keep_policy(p_policy);
  moment timestamptz := public.keepalive_now();
  up public.refresh_upstreams;
  held_until timestamptz;
begin
  if coalesce(policy.life_measured_at <= moment - interval '1 hour', true) then
    update public.refresh_policy target
    set life_measured_at = moment, life_seconds = public.measured_life(100000)
    returning target.* into policy;
  end if;
  select * into up from public.refresh_upstreams where upstream = p_upstream;
  held_until := case
    when up.paused_until > moment then up.paused_until
    when up.breaker <> 'closed' and up.breaker_until > moment then up.breaker_until
  end;
  return jsonb_build_object(
    'now', public.to_millis(moment),
    'due', public.due_sessions_count(p_limit),
    'held', case
      when up.paused_until > moment then 'paused'
      when up.breaker <> 'closed' and up.breaker_until > moment then 'breaker'
    end,
    'retryInMs', ceil(extract(epoch from held_until - moment) * 1000)::bigint,
    'inFlight', coalesce((
      select sum(slot.width) from public.refresh_slots slot
      where slot.upstream = p_upstream and slot.expires_at > moment), 0),
    'callsPerSecond', public.current_rate(up, policy, moment),
    'refreshMs', (
      select round(avg(lately.duration_ms))::bigint
      from (
        select attempt.duration_ms, attempt.tries from public.refresh_attempts attempt
        where attempt.finished_at > moment - interval '10 minutes'
        order by attempt.finished_at desc, attempt.session_id
        limit 100
      ) lately
      where lately.tries > 0),
    'lifeSeconds', policy.life_seconds);
end
$$;

-- How old a session's last sign of life may grow before the site calls the session over, in seconds, from the last
-- p_attempts attempts: the youngest age, in steps of a minute, from which on at least one in ten was found expired. Null
-- where fewer than five were: sessions also end because their users sign out.
create or replace function public.measured_life(p_attempts integer) returns integer
language sql stable
set search_path = ''
as $$
  with lately as (
    select attempt.outcome, attempt.age_seconds
    from public.refresh_attempts attempt
    order by attempt.finished_at desc
    limit p_attempts
  ), by_minute as (
    select lately.age_seconds / 60 as minute, count(*) as told,
      count(*) filter (where lately.outcome = 'expired') as ended
    from lately
    where lately.outcome in ('refreshed', 'expired') and lately.age_seconds is not null
    group by minute
  ), from_there as (
    select by_minute.*, sum(by_minute.told) over older as told_beyond, sum(by_minute.ended) over older as ended_beyond
    from by_minute
    window older as (order by by_minute.minute desc)
  )
  select min(from_there.minute) * 60
  from from_there
  where from_there.ended * 10 >= from_there.told
    and from_there.ended_beyond >= 5 and from_there.ended_beyond * 10 >= from_there.told_beyond
$$;

-- Has these sessions fresh at p_fresh_at: their next refresh is brought forward to just before, unless upstream asked to
-- leave them alone for longer. Answers one entry for each name, in their order, ids before e-mails.
create or replace function public.wish_fresh(p_ids uuid[], p_emails text[], p_fresh_at timestamptz) returns jsonb
language plpgsql
set search_path = ''
as $$
declare
  moment timestamptz := public.keepalive_now();
  begin_at timestamptz := greatest(p_fresh_at - interval '90 seconds', moment);
  ids uuid[] := public.named_sessions(p_ids, p_emails);
begin
  -- In the order of their ids, as finishes do.
  perform from public.auth_sessions session where session.id = any (ids) order by session.id for update;
  -- Those that were never granted, as of sessions that expired.
  delete from public.refresh_wishes wish where wish.session_id = any (ids) and wish.fresh_at <= moment;
  insert into public.refresh_wishes (session_id, fresh_at)
  select distinct session.id, p_fresh_at
  from public.auth_sessions session
  where session.id = any (ids)
  on conflict do nothing;
  update public.auth_sessions session
  set next_refresh_at = begin_at
  where session.id = any (ids) and session.refresh_state = 'active' and session.next_refresh_at > begin_at
    and session.last_refresh_error is distinct from 'throttled';

  return jsonb_build_object(
    'now', public.to_millis(moment),
    'entries', (
      select coalesce(jsonb_agg(jsonb_build_object(
          'result', case when session.id is null then 'not_found' else session.refresh_state end,
          'status', case when session.id is not null then public.session_status_json(session) end
        ) order by element.position), '[]')
      from unnest(ids) with ordinality as element (id, position)
      left join public.auth_sessions session on session.id = element.id));
end
$$;

-- An operator takes a session out of the batch's care, or gives it back; what was exhausted is taken up again then.
create or replace function public.set_session_enabled(p_session_id uuid, p_enabled boolean) returns jsonb
language plpgsql
set search_path = ''
as $$
declare
  moment timestamptz := public.keepalive_now();
  session public.auth_sessions;
begin
  update public.auth_sessions target
  set auto_refresh_enabled = p_enabled,
      next_refresh_at = case when p_enabled and target.refresh_state = 'exhausted' then moment
        else target.next_refresh_at end,
      session_failures = case when p_enabled and target.refresh_state = 'exhausted' then 0
        else target.session_failures end,
      refresh_state = case when p_enabled and target.refresh_state = 'exhausted' then 'active'
        else target.refresh_state end
  where target.id = p_session_id
  returning target.* into session;
  return jsonb_build_object(
    'now', public.to_millis(moment),
    'status', case when session.id is not null then public.session_status_json(session) end);
end
$$;

drop function if exists public.finish_run(uuid, jsonb, integer);

-- Closes a run's record, frees its holder's calls, says what is due still, and drops a little of the history that is past
-- its time.
create or replace function public.finish_run(
  p_run_id uuid, p_holder uuid, p_summary jsonb, p_retention_days integer
) returns jsonb
language plpgsql
set search_path = ''
as $$
declare
  moment timestamptz := public.keepalive_now();
  left_over integer := public.due_sessions_count();
begin
  delete from public.refresh_slots slot where slot.holder = p_holder;
  update public.refresh_runs run
  set finished_at = moment,
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
    where old.finished_at < moment - make_interval(days => p_retention_days)
    order by old.finished_at
    -- More than a run of this size adds, so that the history shrinks.
    limit greatest(1000, 2 * coalesce((p_summary ->> 'claimed')::integer, 0)));
  delete from public.refresh_runs run
  where run.id in (
    select old.id from public.refresh_runs old
    where old.started_at < moment - make_interval(days => p_retention_days)
    order by old.started_at
    limit 1000);

  return jsonb_build_object('remaining', left_over);
end
$$;

-- What a tick does besides refreshing, and what operators ask. Each answers one JSON value.

-- The sum of two lists of counts, place by place.
create or replace function public.add_counts(one bigint[], other bigint[]) returns bigint[]
language sql immutable
set search_path = ''
as $$
  select coalesce(array_agg(coalesce(pair.a, 0) + coalesce(pair.b, 0) order by pair.place), '{}')
  from unnest(one, other) with ordinality as pair (a, b, place)
$$;

create or replace aggregate public.sum_counts(bigint[]) (
  sfunc = public.add_counts, stype = bigint[], initcond = '{}'
);

-- Keeps what pages looked like that were not recognised: the latest twenty. Never costs a token.
create or replace function public.keep_outlines(p_results jsonb, p_moment timestamptz) returns void
language plpgsql
set search_path = ''
as $$
begin
  if not p_results @? '$[*].outline' then
    return;
  end if;
  insert into public.refresh_outlines (at, session_id, outline)
  select p_moment, entry.id, left(entry.outline, 4000)
  from jsonb_to_recordset(p_results) as entry (id uuid, outline text)
  join public.auth_sessions session on session.id = entry.id
  where entry.outline is not null
  limit 5;
exception
  when others then
    null;
end
$$;

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

  perform public.keep_outlines(results, moment);
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

-- Counts a run that ended, and the calls of the database that it made.
create or replace function public.tally_run(p_run_id uuid, p_summary jsonb, p_moment timestamptz) returns void
language sql
set search_path = ''
as $$
  insert into public.refresh_tallies (at, kind, label, count, extra, sum_ms, buckets)
  select p_moment, 'run', run.trigger, 1, run.claimed, run.duration_ms, array[
    (run.duration_ms <= 25)::integer,
    (run.duration_ms > 25 and run.duration_ms <= 50)::integer,
    (run.duration_ms > 50 and run.duration_ms <= 100)::integer,
    (run.duration_ms > 100 and run.duration_ms <= 250)::integer,
    (run.duration_ms > 250 and run.duration_ms <= 500)::integer,
    (run.duration_ms > 500 and run.duration_ms <= 1000)::integer,
    (run.duration_ms > 1000 and run.duration_ms <= 2500)::integer,
    (run.duration_ms > 2500 and run.duration_ms <= 5000)::integer,
    (run.duration_ms > 5000 and run.duration_ms <= 10000)::integer,
    (run.duration_ms > 10000 and run.duration_ms <= 20000)::integer,
    (run.duration_ms > 20000)::integer]
  from public.refresh_runs run
  where run.id = p_run_id and run.duration_ms is not null;
  insert into public.refresh_tallies (at, kind, label, count, sum_ms, buckets)
  select p_moment, 'database', 'all', (told ->> 'count')::bigint, (told ->> 'sumMs')::bigint,
    array(select jsonb_array_elements_text(told -> 'buckets')::bigint)
  from (select p_summary -> 'database' as told) summary
  where (told ->> 'count')::bigint > 0
$$;

create or replace function public.finish_run(
  p_run_id uuid, p_holder uuid, p_summary jsonb, p_retention_days integer
) returns jsonb
language plpgsql
set search_path = ''
as $$
declare
  moment timestamptz := public.keepalive_now();
  was_finished boolean := exists (
    select from public.refresh_runs run where run.id = p_run_id and run.finished_at is not null);
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

  -- Not again where the first answer was lost.
  if not was_finished then
    perform public.tally_run(p_run_id, p_summary, moment);
  end if;

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

drop function if exists public.measured_life(integer);

-- How old a session's last sign of life may grow before the site calls the session over, in seconds: the youngest age, in
-- steps of a minute, from which on at least one in ten was found expired. From the last week, or from all that is kept where
-- the week says nothing. Null where fewer than five were: sessions also end because their users sign out.
create or replace function public.measured_life(p_moment timestamptz) returns integer
language sql stable
set search_path = ''
as $$
  with counted as (
    select hours.hour, hours.label, hours.count, hours.extra
    from public.refresh_hours hours
    where hours.kind = 'age' and hours.hour > '-infinity'
    union all
    select date_trunc('hour', tally.at, 'UTC'), tally.label, tally.count, tally.extra
    from public.refresh_tallies tally
    where tally.kind = 'age'
  ), by_minute as (
    select span.days, counted.label::integer as minute, sum(counted.count) as told, sum(counted.extra) as ended
    from (values (7), (36500)) as span (days)
    join counted on counted.hour > p_moment - make_interval(days => span.days)
    group by span.days, counted.label::integer
  ), from_there as (
    select by_minute.*, sum(by_minute.told) over older as told_beyond, sum(by_minute.ended) over older as ended_beyond
    from by_minute
    window older as (partition by by_minute.days order by by_minute.minute desc)
  )
  select min(from_there.minute) * 60
  from from_there
  where from_there.ended * 10 >= from_there.told
    and from_there.ended_beyond >= 5 and from_there.ended_beyond * 10 >= from_there.told_beyond
  group by from_there.days
  order by from_there.days
  limit 1
$$;

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
    set life_measured_at = moment, life_seconds = public.measured_life(moment)
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

-- Adds up what was counted lately. Answers how many attempts that were.
create or replace function public.fold_tallies() returns bigint
language sql
set search_path = ''
as $$
  with taken as (
    delete from public.refresh_tallies tally
    where tally.ctid = any (array(select ctid from public.refresh_tallies limit 20000 for update skip locked))
    returning tally.*
  ), summed as (
    select spread.hour, taken.kind, taken.label, sum(taken.count) as count, sum(taken.extra) as extra,
      sum(taken.sum_ms) as sum_ms, public.sum_counts(taken.buckets) as buckets
    from taken
    cross join lateral (values (date_trunc('hour', taken.at, 'UTC')), ('-infinity'::timestamptz)) as spread (hour)
    group by spread.hour, taken.kind, taken.label
    order by spread.hour, taken.kind, taken.label
  ), added as (
    insert into public.refresh_hours as target (hour, kind, label, count, extra, sum_ms, buckets)
    select * from summed
    on conflict (hour, kind, label) do update
    set count = target.count + excluded.count, extra = target.extra + excluded.extra,
        sum_ms = target.sum_ms + excluded.sum_ms, buckets = public.add_counts(target.buckets, excluded.buckets)
  )
  select coalesce(sum(taken.count) filter (where taken.kind = 'attempt'), 0)::bigint from taken
$$;

-- Counts all sessions, unless that was done a hundred times its own duration ago or less, or takes more than p_most_ms. Of
-- more than three hundred thousand a sample is counted.
create or replace function public.take_stock(p_moment timestamptz, p_most_ms float8) returns void
language plpgsql
set search_path = ''
as $$
declare
  stock public.refresh_stock;
  began timestamptz := clock_timestamp();
  rows_guessed float8 := (select greatest(reltuples, 0) from pg_class where oid = 'public.auth_sessions'::regclass);
  part float8 := least(1, 3e5 / greatest(rows_guessed, 1));
  late_after integer;
begin
  select * into stock from public.refresh_stock for update skip locked;
  if not found or stock.cost_ms > p_most_ms
    or stock.counted_at + public.seconds(stock.cost_ms / 10) > p_moment then
    return;
  end if;
  select policy.interval_seconds + 300 into late_after from public.refresh_policy policy;
  with counted as (
    select session.refresh_state as state, session.auto_refresh_enabled as enabled,
      session.consecutive_failures > 0 as failing,
      least(120, greatest(0, floor(age.seconds / 60)))::integer as minute,
      round(count(*) / part)::integer as sessions,
      round(count(*) filter (where age.seconds > late_after) / part)::integer as late, max(age.seconds) as oldest
    from public.auth_sessions session tablesample system (100 * part)
    cross join lateral (
      select extract(epoch from p_moment - public.alive_at(session))::float8 as seconds) age
    group by state, enabled, failing, minute
  ), cared as (
    select * from counted where state = 'active' and enabled
  )
  update public.refresh_stock target
  set counted_at = p_moment,
      active = coalesce((select sum(sessions) from cared), 0),
      expired = coalesce((select sum(sessions) from counted where state = 'expired'), 0),
      exhausted = coalesce((select sum(sessions) from counted where state = 'exhausted'), 0),
      disabled = coalesce((select sum(sessions) from counted where state = 'active' and not enabled), 0),
      failing = coalesce((select sum(sessions) from cared where failing), 0),
      late = coalesce((select sum(late) from cared), 0),
      oldest_age_seconds = (select greatest(0, max(oldest)) from cared),
      ages = array(
        select coalesce(sum(cared.sessions), 0)::integer
        from generate_series(0, 120) as minutes (minute)
        left join cared on cared.minute = minutes.minute
        group by minutes.minute
        order by minutes.minute),
      cost_ms = extract(epoch from clock_timestamp() - began) * 1000;
  -- Set while the statement ran, it would say little.
  update public.refresh_stock set cost_ms = extract(epoch from clock_timestamp() - began) * 1000;
end
$$;

-- The same, however long it takes. A call of its own, so that nothing waits for it, and nothing is lost with it.
create or replace function public.count_sessions() returns jsonb
language plpgsql
set search_path = ''
as $$
begin
  perform public.take_stock(public.keepalive_now(), 'Infinity');
  return public.stock_json();
end
$$;

create or replace function public.stock_json() returns jsonb
language sql stable
set search_path = ''
as $$
  select jsonb_build_object(
    'countedAt', public.to_millis(stock.counted_at), 'active', stock.active, 'expired', stock.expired,
    'exhausted', stock.exhausted, 'disabled', stock.disabled, 'failing', stock.failing, 'late', stock.late,
    'oldestAgeSeconds', stock.oldest_age_seconds, 'ages', stock.ages)
  from public.refresh_stock stock
$$;

-- What is due, up to 10,001, and the one that waits longest.
create or replace function public.backlog_json(p_moment timestamptz) returns jsonb
language sql volatile
set search_path = ''
as $$
  select jsonb_build_object(
    'due', public.due_sessions_count(),
    'oldestDueAt', public.to_millis(oldest.next_refresh_at),
    'oldestAgeSeconds', case when oldest.next_refresh_at is not null then
      greatest(0, floor(extract(epoch from p_moment - oldest.alive)))::integer end)
  from (select) nothing
  left join lateral (
    select session.next_refresh_at, public.alive_at(session) as alive
    from public.auth_sessions session
    where session.refresh_state = 'active' and session.auto_refresh_enabled and session.next_refresh_at <= p_moment
      and (session.lease_expires_at is null or session.lease_expires_at <= p_moment)
    order by session.next_refresh_at
    limit 1
  ) oldest on true
$$;

create or replace function public.upstream_json(p_upstream text, p_moment timestamptz) returns jsonb
language sql stable
set search_path = ''
as $$
  select jsonb_build_object(
    'breaker', coalesce(up.breaker, 'closed'),
    'heldUntil', case
      when up.paused_until > p_moment then public.to_millis(up.paused_until)
      when up.breaker <> 'closed' and up.breaker_until > p_moment then public.to_millis(up.breaker_until)
    end,
    'inFlight', coalesce((
      select sum(slot.width) from public.refresh_slots slot
      where slot.upstream = p_upstream and slot.expires_at > p_moment), 0),
    'callsPerSecond', coalesce(public.current_rate(up, policy, p_moment), policy.calls_per_second))
  from public.refresh_policy policy
  left join public.refresh_upstreams up on up.upstream = p_upstream
$$;

-- Counts since ever, those not added up yet included.
create or replace function public.counted_since_ever()
returns table (kind text, label text, count bigint, extra bigint, sum_ms bigint, buckets bigint[])
language sql stable
set search_path = ''
as $$
  select counted.kind, counted.label, sum(counted.count)::bigint, sum(counted.extra)::bigint, sum(counted.sum_ms)::bigint,
    public.sum_counts(counted.buckets)
  from (
    select hours.kind, hours.label, hours.count, hours.extra, hours.sum_ms, hours.buckets
    from public.refresh_hours hours
    where hours.hour = '-infinity' and hours.kind <> 'age'
    union all
    select tally.kind, tally.label, tally.count, tally.extra, tally.sum_ms, tally.buckets
    from public.refresh_tallies tally
    where tally.kind <> 'age'
  ) counted
  group by counted.kind, counted.label
$$;

create or replace function public.histogram_json(p_count bigint, p_sum_ms bigint, p_buckets bigint[]) returns jsonb
language sql immutable
set search_path = ''
as $$ select jsonb_build_object('count', coalesce(p_count, 0), 'sumMs', coalesce(p_sum_ms, 0), 'buckets', coalesce(p_buckets, '{}')) $$;

-- What receivers were not told yet.
create or replace function public.undelivered_json() returns jsonb
language sql stable
set search_path = ''
as $$
  select jsonb_build_object(
    'alerts', count(*) filter (where waiting.kind = 'alert'),
    'events', count(*) filter (where waiting.kind = 'event'),
    'oldestAt', public.to_millis(min(waiting.created_at)),
    'lastError', (array_agg(waiting.last_error order by waiting.next_try_at desc) filter (where waiting.last_error is not null))[1])
  from (select * from public.refresh_messages message where message.delivered_at is null limit 10000) waiting
$$;

-- What stands in an alert's way, or sets it off: one row for each kind that the database judges itself. `on`: null where
-- nothing can be said, and the alert stays as it is. `weight`: how much of it there is, where that counts.
create or replace function public.judge_alerts(p_upstream text, p_watch jsonb, p_moment timestamptz)
returns table (kind text, is_on boolean, details jsonb, weight bigint)
language plpgsql
set search_path = ''
as $$
declare
  policy public.refresh_policy;
  latest public.refresh_samples;
  earlier public.refresh_samples;
  up public.refresh_upstreams;
  stock public.refresh_stock;
  firing text[] := array(select alert.kind from public.refresh_alerts alert where alert.over_at is null);
  limit_seconds integer;
  age integer;
  tried bigint;
  failed bigint;
  lost record;
  strange record;
begin
  select * into strict policy from public.refresh_policy;
  select * into stock from public.refresh_stock;
  select * into up from public.refresh_upstreams where upstream = p_upstream;
  select * into latest from public.refresh_samples order by at desc limit 1;
  -- Ten minutes, or as far back as ten attempts take, an hour at the most.
  select * into earlier from public.refresh_samples where at >= p_moment - interval '10 minutes' order by at limit 1;
  if latest.attempts - earlier.attempts < 10 then
    select * into earlier
    from public.refresh_samples sample
    where sample.at >= p_moment - interval '1 hour'
    order by sample.attempts > latest.attempts - 10,
      case when sample.attempts > latest.attempts - 10 then sample.at end,
      sample.at desc
    limit 1;
  end if;

  -- Off at half of the share that sets it on, so that it doesn't flutter.
  tried := latest.attempts - earlier.attempts;
  failed := latest.failures - earlier.failures;
  kind := 'failure_rate';
  is_on := case
    when tried between 1 and 9 then null
    when coalesce(tried, 0) = 0 then false
    else failed >= tried * (p_watch ->> 'failureRate')::float8 * case when 'failure_rate' = any (firing) then 0.5 else 1 end
  end;
  details := jsonb_build_object('attempts', tried, 'failures', failed,
    'minutes', ceil(extract(epoch from p_moment - earlier.at) / 60)::integer);
  return next;

  limit_seconds := policy.interval_seconds + 300;
  age := greatest(latest.oldest_age_seconds,
    case when stock.counted_at > p_moment - interval '10 minutes' then stock.oldest_age_seconds end);
  kind := 'oldest_due';
  is_on := coalesce(age > limit_seconds, false);
  details := jsonb_build_object('ageSeconds', age, 'due', latest.due, 'limitSeconds', limit_seconds);
  return next;

  kind := 'breaker_open';
  is_on := coalesce(up.breaker <> 'closed', false);
  details := jsonb_build_object('breaker', coalesce(up.breaker, 'closed'));
  return next;

  select count(*) filter (where event.event = 'expired') as expired,
    count(*) filter (where event.event = 'exhausted') as exhausted
  into lost
  from public.session_events event
  where event.event <> 'recovered' and event.at > p_moment - public.seconds((p_watch ->> 'repeatSeconds')::float8);
  kind := 'sessions_lost';
  weight := lost.expired + lost.exhausted;
  is_on := weight > 0;
  details := jsonb_build_object('expired', lost.expired, 'exhausted', lost.exhausted, 'sessionIds', to_jsonb(array(
    select event.session_id from public.session_events event
    where event.event <> 'recovered' and event.at > p_moment - public.seconds((p_watch ->> 'repeatSeconds')::float8)
    order by event.at desc
    limit 10)));
  return next;
  weight := null;

  select count(*) filter (where told.outcome = 'unrecognised') as unrecognised, count(*) as asked
  into strange
  from public.last_answers(p_moment) told;
  kind := 'markup_changed';
  is_on := case
    when strange.asked = 0 then null
    else strange.unrecognised >= least(3, strange.asked) and 2 * strange.unrecognised >= strange.asked and (
      select count(*) >= 3 from public.refresh_attempts attempt
      where attempt.finished_at > p_moment - interval '90 minutes' and attempt.outcome = 'unrecognised')
  end;
  details := jsonb_build_object('sessions', strange.unrecognised, 'outline', (
    select outlined.outline from public.refresh_outlines outlined order by outlined.at desc limit 1));
  return next;

  return query
  select told.kind, told."on", coalesce(told.details, '{}'), null::bigint
  from jsonb_to_recordset(coalesce(p_watch -> 'conditions', '[]')) as told (kind text, "on" boolean, details jsonb);
end
$$;

-- Brings alerts up to date, and queues what their receiver is to be told: that one is on, is on still, or is over.
create or replace function public.update_alerts(p_upstream text, p_watch jsonb, p_moment timestamptz) returns void
language plpgsql
set search_path = ''
as $$
declare
  judged record;
  before public.refresh_alerts;
  status text;
begin
  for judged in select * from public.judge_alerts(p_upstream, p_watch, p_moment) loop
    select * into before from public.refresh_alerts alert where alert.kind = judged.kind;
    status := case
      when judged.is_on and (before.kind is null or before.over_at is not null) then 'firing'
      when judged.is_on
        and before.told_at <= p_moment - public.seconds((p_watch ->> 'repeatSeconds')::float8) then 'repeated'
      -- One lost session is not news enough for the thousand that follow it.
      when judged.is_on and judged.weight >= 10 * before.told_weight then 'repeated'
      when judged.is_on then 'on'
      when not judged.is_on and before.kind is not null and before.over_at is null then 'over'
    end;
    continue when status is null;
    insert into public.refresh_alerts as alert (kind, since, over_at, told_at, told_weight, details)
    values (judged.kind, p_moment, null, p_moment, judged.weight, judged.details)
    on conflict on constraint refresh_alerts_pkey do update
    set since = case when status = 'firing' then p_moment else alert.since end,
        over_at = case when status = 'over' then p_moment end,
        told_at = case when status = 'on' then alert.told_at else p_moment end,
        told_weight = case when status = 'on' then alert.told_weight else judged.weight end,
        details = case when status = 'over' then alert.details else judged.details end
    returning * into before;
    -- A repetition says nothing to who doesn't know of the alert yet.
    if status <> 'on' and (p_watch ->> 'alerts')::boolean and not (status = 'repeated' and exists (
        select from public.refresh_messages waiting
        where waiting.kind = 'alert' and waiting.delivered_at is null and waiting.body ->> 'alert' = judged.kind)) then
      insert into public.refresh_messages (kind, body, created_at, next_try_at)
      values ('alert', jsonb_build_object(
        'alert', before.kind, 'status', status, 'since', public.to_millis(before.since), 'at', public.to_millis(p_moment),
        'details', before.details), p_moment, p_moment);
    end if;
  end loop;
end
$$;

-- Queues what happened to sessions since there is somebody to tell.
create or replace function public.queue_events(p_wanted boolean, p_moment timestamptz) returns void
language plpgsql
set search_path = ''
as $$
declare
  since timestamptz;
begin
  update public.refresh_watch watched
  set events_since = case when p_wanted then p_moment end
  where (watched.events_since is null) = p_wanted;
  if not p_wanted then
    return;
  end if;
  select watched.events_since into since from public.refresh_watch watched;
  with news as (
    update public.session_events event
    set queued = true
    where event.id in (
      select other.id from public.session_events other
      where not other.queued and other.at >= since and other.event in ('expired', 'recovered')
      order by other.at
      limit 1000
      for update skip locked)
    returning event.*
  )
  insert into public.refresh_messages (kind, event_id, body, created_at, next_try_at)
  select 'event', news.id, jsonb_build_object(
    'event', news.event, 'sessionId', news.session_id, 'at', public.to_millis(news.at)), news.at, p_moment
  from news
  order by news.at;
end
$$;

-- Drops a little of what is past its time.
create or replace function public.prune_history(
  p_days integer, p_attempts_kept bigint, p_added bigint, p_moment timestamptz
) returns void
language plpgsql
set search_path = ''
as $$
declare
  oldest timestamptz := p_moment - make_interval(days => p_days);
  -- From this hour on there are as many attempts as are kept.
  crowded timestamptz := (
    select summed.hour
    from (
      select hours.hour, sum(sum(hours.count)) over (order by hours.hour desc) as kept
      from public.refresh_hours hours
      where hours.kind = 'attempt' and hours.hour > '-infinity'
      group by hours.hour
    ) summed
    where summed.kept > p_attempts_kept
    order by summed.hour desc
    limit 1);
begin
  if crowded is not null then
    delete from public.refresh_attempts attempt
    where (attempt.session_id, attempt.fence) in (
      select old.session_id, old.fence from public.refresh_attempts old
      where old.finished_at < crowded
      order by old.finished_at
      limit least(100000, greatest(1000, 2 * p_added)));
  end if;
  delete from public.refresh_hours hours
  where (hours.hour, hours.kind, hours.label) in (
    select old.hour, old.kind, old.label from public.refresh_hours old
    where old.hour > '-infinity' and old.hour < oldest order by old.hour limit 1000);
  delete from public.refresh_samples sample
  where sample.at in (
    select old.at from public.refresh_samples old where old.at < oldest order by old.at limit 1000);
  delete from public.session_events event
  where event.id in (
    select old.id from public.session_events old where old.at < oldest order by old.at limit 1000);
  delete from public.refresh_messages message
  where message.id in (
    select old.id from public.refresh_messages old
    -- An alert that nobody took yet is news still.
    where old.created_at < oldest and (old.kind = 'event' or old.delivered_at is not null)
    order by old.created_at limit 1000);
  delete from public.refresh_outlines outlined
  where outlined.at < (select kept.at from public.refresh_outlines kept order by kept.at desc offset 20 limit 1);
  -- What people did is kept for a year.
  delete from public.refresh_actions action
  where action.id in (
    select old.id from public.refresh_actions old
    where old.at < least(oldest, p_moment - interval '1 year') order by old.at limit 1000);
  delete from public.refresh_answers kept
  where kept.key_digest in (
    select old.key_digest from public.refresh_answers old
    where old.answered_at < p_moment - interval '24 hours' order by old.answered_at limit 1000 for update skip locked);
end
$$;

-- What is waiting about one alert, or one session.
create index if not exists refresh_messages_about
  on public.refresh_messages (coalesce(body ->> 'alert', body ->> 'sessionId'), number) where delivered_at is null;

-- What a tick does besides refreshing: adds up what was counted, looks at how everything stands, brings the alerts up to
-- date, and drops old history. Only one tick at a time does. Answers up to `limit` messages that are due to be delivered:
-- they are this tick's for two minutes.
--
-- p_watch: {"alerts", "events": whether there is a receiver, "limit", "repeatSeconds", "failureRate", "historyDays",
-- "attemptsKept", "conditions": [{"kind", "on", "details"}, …]}.
create or replace function public.watch(p_upstream text, p_policy jsonb, p_watch jsonb) returns jsonb
language plpgsql
set search_path = ''
as $$
declare
  policy public.refresh_policy := public.keep_policy(p_policy);
  moment timestamptz := public.keepalive_now();
  backlog jsonb;
  added bigint;
  messages jsonb;
begin
  if pg_try_advisory_xact_lock(hashtext('keepalive.watch')) then
    update public.refresh_watch set last_tick_at = moment;
    added := public.fold_tallies();
    perform public.take_stock(moment, 5);
    backlog := public.backlog_json(moment);
    insert into public.refresh_samples (at, due, oldest_age_seconds, active, late, attempts, failures)
    select moment, (backlog ->> 'due')::integer, (backlog ->> 'oldestAgeSeconds')::integer, stock.active, stock.late,
      coalesce(told.attempts, 0), coalesce(told.failures, 0)
    from public.refresh_stock stock
    cross join (
      select sum(counted.count) as attempts,
        sum(counted.count) filter (where counted.label not in ('refreshed', 'expired', 'abandoned')) as failures
      from public.counted_since_ever() counted
      where counted.kind = 'attempt'
    ) told
    on conflict do nothing;
    perform public.update_alerts(p_upstream, p_watch, moment);
    perform public.queue_events((p_watch ->> 'events')::boolean, moment);
    perform public.prune_history(
      (p_watch ->> 'historyDays')::integer, (p_watch ->> 'attemptsKept')::bigint, added, moment);
  end if;
  with taken as (
    update public.refresh_messages message
    set next_try_at = moment + interval '2 minutes', tries = message.tries + 1
    where message.id in (
      select waiting.id from public.refresh_messages waiting
      where waiting.delivered_at is null and waiting.next_try_at <= moment
        and (p_watch ->> case waiting.kind when 'alert' then 'alerts' else 'events' end)::boolean
        -- What is over is not told before what began, unless that was refused.
        and not exists (
          select from public.refresh_messages earlier
          where earlier.delivered_at is null and earlier.number < waiting.number
            and coalesce(earlier.body ->> 'alert', earlier.body ->> 'sessionId')
              = coalesce(waiting.body ->> 'alert', waiting.body ->> 'sessionId')
            and earlier.last_error is distinct from 'refused')
      -- Alerts are few; events that nobody takes may be many.
      order by waiting.kind, waiting.next_try_at, waiting.number
      limit (p_watch ->> 'limit')::integer
      for update skip locked)
    returning message.*
  )
  select coalesce(jsonb_agg(
    taken.body || jsonb_build_object('id', taken.id, 'kind', taken.kind, 'tries', taken.tries) order by taken.number), '[]')
  into messages
  from taken;
  return jsonb_build_object('now', public.to_millis(moment), 'messages', messages);
end
$$;

-- What came of deliveries. p_told: [{"id", "error": a code or null, "retryInSeconds"}, …].
create or replace function public.messages_told(p_told jsonb) returns jsonb
language sql
set search_path = ''
as $$
  with written as (
    update public.refresh_messages message
    set delivered_at = case when told.error is null then public.keepalive_now() end,
        last_error = told.error,
        next_try_at = public.keepalive_now() + public.seconds(coalesce(told."retryInSeconds", 0))
    from jsonb_to_recordset(p_told) as told (id uuid, error text, "retryInSeconds" float8)
    where message.id = told.id and message.delivered_at is null
    returning message.id
  )
  select jsonb_build_object('written', count(*)) from written
$$;

-- For machines that measure: see operations/src/metrics.rs.
create or replace function public.metrics(p_upstream text) returns jsonb
language plpgsql
set search_path = ''
as $$
declare
  moment timestamptz := public.keepalive_now();
  answer jsonb;
begin
  perform public.take_stock(moment, 5);
  select jsonb_build_object(
    'now', public.to_millis(moment), 'intervalSeconds', policy.interval_seconds, 'lifeSeconds', policy.life_seconds,
    'lastTickAt', public.to_millis((select watched.last_tick_at from public.refresh_watch watched)), 'backlog', public.backlog_json(moment),
    'stock', public.stock_json(), 'upstream', public.upstream_json(p_upstream, moment),
    'attempts', counted.attempts, 'runs', counted.runs,
    'database', coalesce(counted.database, public.histogram_json(0, 0, '{}')),
    'alerts', coalesce((
      select jsonb_agg(alert.kind order by alert.kind) from public.refresh_alerts alert where alert.over_at is null), '[]'),
    'undelivered', public.undelivered_json())
  into answer
  from public.refresh_policy policy
  cross join (
    select
      coalesce(jsonb_agg(jsonb_build_object('outcome', told.label, 'calls', told.extra, 'histogram',
        public.histogram_json(told.count, told.sum_ms, told.buckets)) order by told.label)
        filter (where told.kind = 'attempt'), '[]') as attempts,
      coalesce(jsonb_agg(jsonb_build_object('trigger', told.label, 'histogram',
        public.histogram_json(told.count, told.sum_ms, told.buckets)) order by told.label)
        filter (where told.kind = 'run'), '[]') as runs,
      jsonb_agg(public.histogram_json(told.count, told.sum_ms, told.buckets))
        filter (where told.kind = 'database') -> 0 as database
    from public.counted_since_ever() told
  ) counted;
  return answer;
end
$$;

-- Whether all is well, in facts. `schema` is this function's own: a Worker that wants more says so.
create or replace function public.health(p_upstream text) returns jsonb
language sql volatile
set search_path = ''
as $$
  select jsonb_build_object(
    'now', public.to_millis(public.keepalive_now()), 'schema', 1,
    'intervalSeconds', policy.interval_seconds,
    'lastTickAt', public.to_millis((select watched.last_tick_at from public.refresh_watch watched)),
    'backlog', public.backlog_json(public.keepalive_now()),
    'upstream', public.upstream_json(p_upstream, public.keepalive_now()))
  from public.refresh_policy policy
$$;

create or replace function public.operator_session_json(session public.auth_sessions) returns jsonb
language sql volatile
set search_path = ''
as $$
  select jsonb_build_object(
    'id', session.id, 'email', coalesce(session.user_email, ''), 'state', session.refresh_state,
    'enabled', session.auto_refresh_enabled,
    'isRefreshing', coalesce(session.lease_expires_at > public.keepalive_now(), false),
    'lastRefreshDate', public.to_millis(session.last_refresh_date),
    'lastAttemptAt', public.to_millis(session.last_attempt_at),
    'nextRefreshDue', public.to_millis(session.next_refresh_at),
    'signedInAt', public.to_millis(coalesce(session.signed_in_at, session.created_at, public.keepalive_now())),
    'refreshCount', session.refresh_count, 'lastError', session.last_refresh_error,
    'consecutiveFailures', session.consecutive_failures,
    'failingSince', case when session.last_refresh_error is not null then public.to_millis(coalesce((
      select min(latest.finished_at)
      from (
        -- A session may have thousands behind it, each on another page.
        select attempt.finished_at, attempt.outcome from public.refresh_attempts attempt
        where attempt.session_id = session.id order by attempt.fence desc limit 200
      ) latest
      where latest.outcome <> 'refreshed' and latest.finished_at > coalesce(public.alive_at(session), '-infinity')
    ), session.last_attempt_at)) end)
$$;

create or replace function public.run_json(run public.refresh_runs) returns jsonb
language sql immutable
set search_path = ''
as $$
  select jsonb_build_object(
    'id', run.id, 'trigger', run.trigger, 'startedAt', public.to_millis(run.started_at),
    'finishedAt', public.to_millis(run.finished_at), 'claimed', run.claimed, 'refreshed', run.refreshed,
    'expired', run.expired, 'failed', run.failed, 'outcomes', run.outcomes, 'remaining', run.remaining,
    'durationMs', run.duration_ms, 'error', run.error)
$$;

create or replace function public.attempt_json(attempt public.refresh_attempts) returns jsonb
language sql immutable
set search_path = ''
as $$
  select jsonb_build_object(
    'sessionId', attempt.session_id, 'finishedAt', public.to_millis(attempt.finished_at), 'runId', attempt.run_id,
    'trigger', attempt.trigger, 'outcome', attempt.outcome, 'upstreamStatus', attempt.upstream_status,
    'durationMs', attempt.duration_ms, 'tries', attempt.tries, 'ageSeconds', attempt.age_seconds)
$$;

create or replace function public.action_json(action public.refresh_actions) returns jsonb
language sql immutable
set search_path = ''
as $$
  select jsonb_build_object(
    'at', public.to_millis(action.at), 'keyId', action.key_id, 'action', action.action, 'sessionId', action.session_id,
    'result', action.result)
$$;

create or replace function public.newest_runs(p_limit integer) returns jsonb
language sql stable
set search_path = ''
as $$
  select coalesce(jsonb_agg(public.run_json(newest) order by newest.started_at desc, newest.id), '[]')
  from (select * from public.refresh_runs run order by run.started_at desc, run.id limit p_limit) newest
$$;

-- Sessions in trouble, those tried last first.
create or replace function public.troubled_sessions(p_limit integer) returns jsonb
language sql volatile
set search_path = ''
as $$
  select coalesce(jsonb_agg(
    public.operator_session_json(troubled) order by troubled.last_attempt_at desc nulls last, troubled.id), '[]')
  from (
    select * from public.auth_sessions session
    where session.refresh_state <> 'active' or session.consecutive_failures > 0
    order by session.last_attempt_at desc nulls last, session.id
    limit p_limit
  ) troubled
$$;

-- How everything stands, and how it was in the last p_hours: see operations/src/overview.rs.
create or replace function public.overview(p_upstream text, p_hours integer) returns jsonb
language plpgsql
set search_path = ''
as $$
declare
  moment timestamptz := public.keepalive_now();
  since timestamptz := date_trunc('hour', moment - make_interval(hours => p_hours), 'UTC');
  period interval := case when p_hours <= 24 then interval '1 hour' else interval '6 hours' end;
  span interval := case when p_hours <= 24 then interval '10 minutes' else interval '70 minutes' end;
  answer jsonb;
begin
  perform public.take_stock(moment, 5);
  select jsonb_build_object(
    'now', public.to_millis(moment), 'since', public.to_millis(since), 'intervalSeconds', policy.interval_seconds,
    'lifeSeconds', policy.life_seconds, 'lastTickAt', public.to_millis((select watched.last_tick_at from public.refresh_watch watched)),
    'backlog', public.backlog_json(moment), 'stock', public.stock_json(),
    'upstream', public.upstream_json(p_upstream, moment),
    'periodSeconds', extract(epoch from period)::integer,
    'periods', (
      select coalesce(jsonb_agg(jsonb_build_object(
          'at', public.to_millis(periods.at), 'outcomes', periods.outcomes,
          'latency', public.histogram_json(periods.count, periods.sum_ms, periods.buckets)) order by periods.at), '[]')
      from (
        select by_outcome.at, jsonb_object_agg(by_outcome.label, by_outcome.count) as outcomes,
          -- Where nothing was called nothing took time.
          (sum(by_outcome.count) filter (where by_outcome.calls > 0))::bigint as count,
          (sum(by_outcome.sum_ms) filter (where by_outcome.calls > 0))::bigint as sum_ms,
          public.sum_counts(by_outcome.buckets) filter (where by_outcome.calls > 0) as buckets
        from (
          select date_bin(period, hours.hour, since) as at, hours.label, sum(hours.count)::bigint as count,
            sum(hours.extra) as calls, sum(hours.sum_ms)::bigint as sum_ms, public.sum_counts(hours.buckets) as buckets
          from (
            select hour, label, count, extra, sum_ms, buckets from public.refresh_hours
            where kind = 'attempt' and hour >= since
            union all
            select tally.at, label, count, extra, sum_ms, buckets from public.refresh_tallies tally
            where kind = 'attempt' and tally.at >= since
          ) hours
          group by 1, 2
        ) by_outcome
        group by by_outcome.at
      ) periods),
    'samples', (
      select coalesce(jsonb_agg(jsonb_build_object(
          'at', public.to_millis(spans.at), 'due', spans.due, 'oldestAgeSeconds', spans.oldest, 'active', spans.active,
          'late', spans.late) order by spans.at), '[]')
      from (
        select date_bin(span, sample.at, since) as at, max(sample.due) as due, max(sample.oldest_age_seconds) as oldest,
          max(sample.active) as active, max(sample.late) as late
        from public.refresh_samples sample
        where sample.at >= since
        group by 1
      ) spans),
    'runs', public.newest_runs(20),
    'trouble', public.troubled_sessions(50),
    'troubleCount', (
      select count(*)::integer from (
        select from public.auth_sessions session
        where session.refresh_state <> 'active' or session.consecutive_failures > 0
        -- The order makes the planner use the index.
        order by session.last_attempt_at desc nulls last, session.id
        limit 1001) troubled),
    'alerts', (
      select coalesce(jsonb_agg(jsonb_build_object(
          'kind', alert.kind, 'since', public.to_millis(alert.since), 'overAt', public.to_millis(alert.over_at),
          'toldAt', public.to_millis(alert.told_at), 'details', alert.details)
        order by alert.over_at is not null, alert.since desc), '[]')
      from public.refresh_alerts alert
      where alert.over_at is null or alert.over_at > moment - interval '1 day'),
    'undelivered', public.undelivered_json(),
    'actions', (
      select coalesce(jsonb_agg(public.action_json(latest) order by latest.id desc), '[]')
      from (select * from public.refresh_actions action order by action.id desc limit 20) latest))
  into answer
  from public.refresh_policy policy;
  return answer;
end
$$;

-- Sessions by their id, or by a part of the user's e-mail; without a query those in trouble.
create or replace function public.find_sessions(p_query text, p_limit integer) returns jsonb
language plpgsql volatile
set search_path = ''
as $$
declare
  -- An e-mail as it is written stands first.
  ids uuid[];
begin
  if p_query is null then
    return jsonb_build_object('now', public.to_millis(public.keepalive_now()),
      'sessions', public.troubled_sessions(p_limit), 'more', (
        select count(*) > p_limit from (
          select from public.auth_sessions session
          where session.refresh_state <> 'active' or session.consecutive_failures > 0
          order by session.last_attempt_at desc nulls last, session.id
          limit p_limit + 1) troubled));
  end if;
  if p_query ~* '^[0-9a-f]{8}-([0-9a-f]{4}-){3}[0-9a-f]{12}$' then
    ids := array(select session.id from public.auth_sessions session where session.id = p_query::uuid);
  else
    ids := array(
      select session.id from public.auth_sessions session where session.user_email = p_query
      order by session.signed_in_at desc nulls last, session.id limit p_limit + 1);
    if cardinality(ids) = 0 then
      ids := array(
        select session.id from public.auth_sessions session
        where session.user_email ilike '%' || regexp_replace(p_query, '([\\%_])', '\\\1', 'g') || '%'
        order by session.user_email, session.id limit p_limit + 1);
    end if;
  end if;
  return jsonb_build_object(
    'now', public.to_millis(public.keepalive_now()), 'more', cardinality(ids) > p_limit,
    'sessions', (
      select coalesce(jsonb_agg(public.operator_session_json(session) order by wanted.place), '[]')
      from unnest(ids[1:p_limit]) with ordinality as wanted (id, place)
      join public.auth_sessions session on session.id = wanted.id));
end
$$;

-- One session and what happened to it; `session` is null where there is none.
create or replace function public.session_history(p_session_id uuid, p_limit integer) returns jsonb
language sql volatile
set search_path = ''
as $$
  select jsonb_build_object(
    'now', public.to_millis(public.keepalive_now()),
    'session', (
      select public.operator_session_json(session) from public.auth_sessions session where session.id = p_session_id),
    'attempts', (
      select coalesce(jsonb_agg(public.attempt_json(latest) order by latest.finished_at desc, latest.fence desc), '[]')
      from (
        select * from public.refresh_attempts attempt
        where attempt.session_id = p_session_id order by attempt.fence desc limit p_limit) latest),
    'events', (
      select coalesce(jsonb_agg(jsonb_build_object(
          'at', public.to_millis(latest.at), 'event', latest.event, 'deliveredAt', (
            select public.to_millis(message.delivered_at) from public.refresh_messages message
            where message.event_id = latest.id)) order by latest.at desc), '[]')
      from (
        select * from public.session_events event
        where event.session_id = p_session_id order by event.at desc limit p_limit) latest),
    'actions', (
      select coalesce(jsonb_agg(public.action_json(latest) order by latest.id desc), '[]')
      from (
        select * from public.refresh_actions action
        where action.session_id = p_session_id order by action.at desc limit p_limit) latest))
$$;

create or replace function public.list_runs(p_limit integer) returns jsonb
language sql volatile
set search_path = ''
as $$
  select jsonb_build_object('now', public.to_millis(public.keepalive_now()), 'runs', public.newest_runs(p_limit))
$$;

create index if not exists refresh_attempts_failed_of_run
  on public.refresh_attempts (run_id) where outcome <> 'refreshed';

-- One run and what failed in it; `run` is null where there is none.
create or replace function public.run_history(p_run_id uuid) returns jsonb
language sql volatile
set search_path = ''
as $$
  select jsonb_build_object(
    'now', public.to_millis(public.keepalive_now()),
    'run', (select public.run_json(run) from public.refresh_runs run where run.id = p_run_id),
    'failures', (
      select coalesce(jsonb_agg(public.attempt_json(failed) order by failed.finished_at desc, failed.session_id), '[]')
      from (
        select * from public.refresh_attempts attempt
        where attempt.run_id = p_run_id and attempt.outcome <> 'refreshed'
        order by attempt.finished_at desc limit 200) failed))
$$;

-- Records what an operator did.
create or replace function public.note_action(p_key_id text, p_action text, p_session_id uuid, p_result text) returns jsonb
language sql
set search_path = ''
as $$
  insert into public.refresh_actions (at, key_id, action, session_id, result)
  values (public.keepalive_now(), p_key_id, p_action, p_session_id, p_result);
  select '{}'::jsonb
$$;

-- The same as without p_key_id, recorded in the same transaction, if there is such a session.
create or replace function public.set_session_enabled(p_session_id uuid, p_enabled boolean, p_key_id text) returns jsonb
language plpgsql
set search_path = ''
as $$
declare
  answer jsonb := public.set_session_enabled(p_session_id, p_enabled);
begin
  if answer -> 'status' <> 'null' then
    perform public.note_action(p_key_id, case when p_enabled then 'enable' else 'disable' end, p_session_id, 'done');
  end if;
  return answer;
end
$$;

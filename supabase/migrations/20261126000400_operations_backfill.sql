-- What was noted before there were hours counts, too: the latest hundred thousand attempts, so that the plots don't begin
-- empty and sessions' measured life is known at once. In a file of its own: nobody who writes waits for it.

do $$
declare
  -- From then on the trigger counts.
  counted_since timestamptz := coalesce((select min(at) from public.refresh_tallies), 'infinity');
begin
  if exists (select from public.refresh_hours) then
    return;
  end if;
  with latest as materialized (
    select * from public.refresh_attempts attempt
    where attempt.finished_at < counted_since
    order by attempt.finished_at desc
    limit 100000
  )
  insert into public.refresh_hours (hour, kind, label, count, extra, sum_ms, buckets)
  select spread.hour, counted.kind, counted.label, sum(counted.count), sum(counted.extra), sum(counted.sum_ms),
    public.sum_counts(counted.buckets)
  from (
    select date_trunc('hour', latest.finished_at, 'UTC') as hour, 'attempt' as kind, latest.outcome as label,
      count(*) as count, sum(latest.tries) as extra, sum(latest.duration_ms) as sum_ms, array[
        count(*) filter (where latest.duration_ms <= 25),
        count(*) filter (where latest.duration_ms > 25 and latest.duration_ms <= 50),
        count(*) filter (where latest.duration_ms > 50 and latest.duration_ms <= 100),
        count(*) filter (where latest.duration_ms > 100 and latest.duration_ms <= 250),
        count(*) filter (where latest.duration_ms > 250 and latest.duration_ms <= 500),
        count(*) filter (where latest.duration_ms > 500 and latest.duration_ms <= 1000),
        count(*) filter (where latest.duration_ms > 1000 and latest.duration_ms <= 2500),
        count(*) filter (where latest.duration_ms > 2500 and latest.duration_ms <= 5000),
        count(*) filter (where latest.duration_ms > 5000 and latest.duration_ms <= 10000),
        count(*) filter (where latest.duration_ms > 10000 and latest.duration_ms <= 20000),
        count(*) filter (where latest.duration_ms > 20000)] as buckets
    from latest
    group by 1, latest.outcome
    union all
    select date_trunc('hour', latest.finished_at, 'UTC'), 'age', (latest.age_seconds / 60)::text, count(*),
      count(*) filter (where latest.outcome = 'expired'), 0, '{}'
    from latest
    where latest.outcome in ('refreshed', 'expired') and latest.age_seconds is not null
    group by 1, latest.age_seconds / 60
  ) counted
  cross join lateral (values (counted.hour), ('-infinity'::timestamptz)) as spread (hour)
  group by spread.hour, counted.kind, counted.label;
end
$$;

// A month of history for a database that `fill` has filled: attempts, their sums by the hour, samples, runs, and sessions in
// trouble. For tests and benchmarks of scale.

/** Makes `perSession` more attempts of each session, and all else that grows with time alone, for `days`. */
export async function fillHistory(sql, { perSession = 0, days = 30, troubled = 0 } = {}) {
  const client = await sql.connect();
  try {
    await client.query("begin; set local session_replication_role = replica; set local maintenance_work_mem = '512MB'");
    if (perSession > 0) await fillAttempts(client, perSession, days);
    await fillHours(client, days);
    await fillSamples(client, days);
    await makeTrouble(client, troubled);
    await client.query("commit");
  } finally {
    client.release();
  }
  const large = perSession > 0 ? ", refresh_attempts, auth_sessions" : "";
  await sql.query(`vacuum (analyze) refresh_hours, refresh_samples, refresh_runs${large}`);
}

/** Fences below those that `fill` has given. One in fifty attempts failed. */
async function fillAttempts(client, perSession, days) {
  const { rows } = await client.query(`select indexname as name, indexdef as definition from pg_indexes
    where schemaname = 'public' and tablename = 'refresh_attempts'
      and indexname not in (select conname from pg_constraint)`);
  for (const { name } of rows) await client.query(`drop index public.${name}`);
  await client.query(
    `insert into refresh_attempts (session_id, fence, run_id, trigger, finished_at, duration_ms, outcome,
      upstream_status, tries, age_seconds)
    select session.id, n, null, 'cron', now() - ($1 - n + 1) * $2::float8 / $1 * interval '1 day', 300 + n % 200,
      case when n % 50 = 7 then 'unreachable' else 'refreshed' end, case when n % 50 = 7 then null else 200 end, 1, 1100
    from auth_sessions session, generate_series(1, $1::integer) n`,
    [perSession, days],
  );
  for (const { definition } of rows) await client.query(definition);
}

async function fillHours(client, days) {
  await client.query(
    `insert into refresh_hours (hour, kind, label, count, extra, sum_ms, buckets)
    select date_trunc('hour', now(), 'UTC') - n * interval '1 hour', kind, label, 1000, 10, 400000,
      case kind when 'age' then '{}' else array[0, 0, 0, 100, 800, 100, 0, 0, 0, 0, 0] end
    from generate_series(1, $1::integer * 24) n, lateral (
      select 'attempt' as kind, unnest(array['refreshed', 'expired', 'throttled', 'unreachable', 'timed_out']) as label
      union all select 'run', unnest(array['cron', 'queue', 'api'])
      union all select 'database', 'all'
      union all select 'age', minute::text from generate_series(0, 60) minute) told
    on conflict do nothing`,
    [days],
  );
  await client.query(`insert into refresh_hours (hour, kind, label, count, extra, sum_ms, buckets)
    select '-infinity', kind, label, sum(count), sum(extra), sum(sum_ms), sum_counts(buckets)
    from refresh_hours where hour > '-infinity' group by kind, label
    on conflict do nothing`);
}

async function fillSamples(client, days) {
  await client.query(
    `insert into refresh_samples (at, due, oldest_age_seconds, active, late, attempts, failures)
    select now() - n * interval '1 minute', 10, 1200, 1000, 0, 1000000 - n, 1000 from generate_series(2, $1::integer * 1440) n
    on conflict do nothing`,
    [days],
  );
  await client.query(
    `insert into refresh_runs (id, trigger, started_at, finished_at, claimed, refreshed, duration_ms, remaining)
    select gen_random_uuid(), 'cron', now() - n * interval '1 minute', now() - n * interval '1 minute', 50, 50, 4000, 0
    from generate_series(1, $1::integer * 1440) n`,
    [days],
  );
}

async function makeTrouble(client, troubled) {
  await client.query(
    `update auth_sessions set consecutive_failures = 3, last_refresh_error = 'unreachable'
    where id in (select id from auth_sessions order by id desc limit $1)`,
    [troubled],
  );
}

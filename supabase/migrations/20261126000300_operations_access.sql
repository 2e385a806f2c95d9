-- As before: only the service role gets in.

do $$
declare
  role_name text;
  table_name text;
  function_name regprocedure;
  tables text[] := array[
    'refresh_watch', 'refresh_tallies', 'refresh_hours', 'refresh_stock', 'refresh_samples', 'session_events', 'refresh_alerts',
    'refresh_messages', 'refresh_outlines', 'refresh_actions'
  ];
  views text[] := array[
    'refresh_success_by_hour', 'sessions_by_state', 'refreshes_per_session', 'slowest_runs', 'sessions_failing',
    'measured_lives'
  ];
  names text[] := array[
    'tally_attempts', 'note_session_event', 'add_counts', 'keep_outlines', 'finish_sessions', 'tally_run', 'finish_run',
    'measured_life', 'outlook', 'fold_tallies', 'take_stock', 'count_sessions', 'stock_json', 'backlog_json', 'upstream_json',
    'counted_since_ever', 'histogram_json', 'undelivered_json', 'judge_alerts', 'update_alerts', 'queue_events',
    'prune_history', 'watch', 'messages_told', 'metrics', 'health', 'operator_session_json', 'run_json', 'attempt_json',
    'action_json', 'newest_runs', 'troubled_sessions', 'overview', 'find_sessions', 'session_history', 'list_runs',
    'run_history', 'note_action', 'set_session_enabled', 'sum_counts'
  ];
begin
  foreach table_name in array tables loop
    execute format('alter table public.%I enable row level security', table_name);
  end loop;
  foreach table_name in array tables || views loop
    execute format('revoke all on table public.%I from public', table_name);
    foreach role_name in array array['anon', 'authenticated'] loop
      if exists (select from pg_roles where rolname = role_name) then
        execute format('revoke all on table public.%I from %I', table_name, role_name);
      end if;
    end loop;
    if exists (select from pg_roles where rolname = 'service_role') then
      execute format('grant select, insert, update, delete on table public.%I to service_role', table_name);
    end if;
  end loop;
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
end
$$;

notify pgrst, 'reload schema';

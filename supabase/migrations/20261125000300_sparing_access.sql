-- As before: only the service role gets in.

alter table public.refresh_upstreams enable row level security;
alter table public.refresh_slots enable row level security;
alter table public.refresh_wishes enable row level security;

do $$
declare
  role_name text;
  function_name regprocedure;
  names text[] := array[
    'keepalive_now', 'keepalive_unit', 'seconds', 'alive_at', 'next_wish', 'to_millis', 'session_status_json',
    'claimed_session_json', 'note_sign_in', 'keep_policy', 'lock_upstream', 'current_rate', 'admit', 'take_starts',
    'lease_sessions', 'oldest_due', 'claim_due_sessions', 'take_up_again', 'claim_session', 'named_sessions', 'claim_sessions',
    'finish_together', 'finish_alone', 'first_distinct', 'note_answers',
    'doubt_refusals_of_all', 'last_answers', 'site_is_odd', 'next_try_for_wish', 'finish_sessions', 'session_status',
    'due_sessions_count', 'outlook', 'measured_life', 'wish_fresh', 'set_session_enabled', 'finish_run'
  ];
  tables text := 'public.refresh_upstreams, public.refresh_slots, public.refresh_wishes';
begin
  for function_name in
    select oid::regprocedure from pg_proc where pronamespace = 'public'::regnamespace and proname = any (names)
  loop
    execute format('revoke all on function %s from public', function_name);
    -- Supabase's roles; a plain PostgreSQL has none of them.
    foreach role_name in array array['anon', 'authenticated'] loop
      if exists (select from pg_roles where rolname = role_name) then
        execute format('revoke all on function %s from %I', function_name, role_name);
      end if;
    end loop;
    if exists (select from pg_roles where rolname = 'service_role') then
      execute format('grant execute on function %s to service_role', function_name);
    end if;
  end loop;
  execute format('revoke all on table %s from public', tables);
  foreach role_name in array array['anon', 'authenticated'] loop
    if exists (select from pg_roles where rolname = role_name) then
      execute format('revoke all on table %s from %I', tables, role_name);
    end if;
  end loop;
  if exists (select from pg_roles where rolname = 'service_role') then
    execute format('grant select, insert, update, delete on table %s to service_role', tables);
  end if;
end
$$;

notify pgrst, 'reload schema';

-- Only the service role gets in: row-level security without a policy, and no right for anybody else.

alter table public.auth_sessions enable row level security;
alter table public.refresh_policy enable row level security;
alter table public.refresh_runs enable row level security;
alter table public.refresh_attempts enable row level security;

do $$
declare
  role_name text;
  function_name text;
  signatures text[] := array[
    'public.to_millis(timestamptz)',
    'public.session_status_json(public.auth_sessions)',
    'public.claimed_session_json(public.auth_sessions)',
    'public.note_sign_in()',
    'public.claim_due_sessions(uuid, text, uuid, integer, integer, integer)',
    'public.claim_session(text, uuid, uuid, integer, integer, integer)',
    'public.finish_together(uuid, uuid, text, jsonb)',
    'public.finish_alone(uuid, uuid, text, jsonb)',
    'public.finish_sessions(uuid, uuid, text, jsonb)',
    'public.session_status(text, uuid)',
    'public.due_sessions_count(integer)',
    'public.finish_run(uuid, jsonb, integer)'
  ];
  tables text := 'public.auth_sessions, public.refresh_policy, public.refresh_runs, public.refresh_attempts';
begin
  foreach function_name in array signatures loop
    execute format('revoke all on function %s from public', function_name);
  end loop;
  execute format('revoke all on table %s from public', tables);
  -- Supabase's roles; a plain PostgreSQL has none of them.
  foreach role_name in array array['anon', 'authenticated'] loop
    if exists (select from pg_roles where rolname = role_name) then
      execute format('revoke all on table %s from %I', tables, role_name);
      foreach function_name in array signatures loop
        execute format('revoke all on function %s from %I', function_name, role_name);
      end loop;
    end if;
  end loop;
  if exists (select from pg_roles where rolname = 'service_role') then
    execute format('grant select, insert, update, delete on table %s to service_role', tables);
    foreach function_name in array signatures loop
      execute format('grant execute on function %s to service_role', function_name);
    end loop;
  end if;
end
$$;

notify pgrst, 'reload schema';

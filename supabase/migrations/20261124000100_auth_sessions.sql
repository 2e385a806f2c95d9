-- The sessions that the app stores at sign-in. Projects that have the table already keep theirs untouched: older
-- ones are unique on user_email, newer ones on (user_email, fingerprint). Everything here is keyed on id.
create table if not exists public.auth_sessions (
  id uuid primary key default gen_random_uuid(),
  user_email varchar(255) not null,
  aimharder_token text not null,
  aimharder_cookies jsonb not null,
  fingerprint varchar(50),
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  unique (user_email, fingerprint)
);

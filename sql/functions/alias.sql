create or replace function pgstream.alias() returns text
language sql stable
set search_path = pg_catalog, pg_temp
as $$ select coalesce(s.database, s.database_at_install) from pgstream.settings s $$;
comment on function pgstream.alias() is 'The database''s alias in events, subjects and stream names: '
  'settings.database, else its name when pgstream was installed.';

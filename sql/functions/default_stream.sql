create or replace function pgstream.default_stream() returns text
language sql stable
set search_path = pg_catalog, pg_temp
as $$ select coalesce(s.stream, 'PGSTREAM_' || pgstream.escape_token(pgstream.alias())) from pgstream.settings s $$;
comment on function pgstream.default_stream() is 'JetStream stream of tables that name none: settings.stream, else '
  'PGSTREAM_ and the alias, escaped.';

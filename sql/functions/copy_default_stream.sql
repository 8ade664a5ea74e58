create or replace function pgstream.copy_default_stream(former pgstream.settings) returns void
language sql volatile
set search_path = pg_catalog, pg_temp
as $$
  insert into pgstream.streams (name, storage, replicas, max_age, max_bytes, discard, duplicate_window)
  select pgstream.default_stream(), s.storage, s.replicas, s.max_age, s.max_bytes, s.discard, s.duplicate_window
  from pgstream.streams s
  where s.name = coalesce(former.stream,
      'PGSTREAM_' || pgstream.escape_token(coalesce(former.database, former.database_at_install)))
    and s.name <> pgstream.default_stream()
  on conflict do nothing
$$;
comment on function pgstream.copy_default_stream(pgstream.settings) is 'Private. After a change of the alias: a row '
  'for the default stream''s new name, like the former one''s.';

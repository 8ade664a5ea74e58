create or replace function pgstream.wanted_identity(streamed pgstream.tables) returns text
language sql stable
set search_path = pg_catalog, pg_temp
as $$ select coalesce(streamed.replica_identity,
  case when streamed.columns is not null or streamed.excluded_columns is not null
    or pgstream.full_needs_more(streamed.relid) then 'keep' else s.replica_identity end) from pgstream.settings s $$;
comment on function pgstream.wanted_identity(pgstream.tables) is 'Private. full or keep: as the row says; keep where '
  'full would make the application''s UPDATE fail (a column list, a generated column on 18 and newer); else the '
  'setting.';

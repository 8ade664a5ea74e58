create or replace function pgstream.wanted_identity(chosen text, has_column_list boolean) returns text
language sql stable
set search_path = pg_catalog, pg_temp
as $$ select coalesce(chosen,
  case when has_column_list then 'keep' else s.replica_identity end) from pgstream.settings s $$;
comment on function pgstream.wanted_identity(text, boolean) is 'Private. full or keep: as the row says; keep beside a '
  'column list; else the setting.';

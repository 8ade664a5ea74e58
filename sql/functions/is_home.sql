create or replace function pgstream.is_home() returns boolean
language sql stable
set search_path = pg_catalog, pg_temp
as $$
  select s.database_oid = d.oid
  from pgstream.settings s, pg_database d
  where d.datname = current_database()
$$;
comment on function pgstream.is_home() is 'Private. False in a copy: clone, template or restored dump of the database '
  'that pgstream was installed in.';

-- Not to_regclass: that raises where the schema's USAGE is missing, and we say more about it.
create or replace function pgstream.relation_oid(table_schema text, table_name text) returns oid
language sql stable
set search_path = pg_catalog, pg_temp
as $$
  select c.oid
  from pg_class c join pg_namespace n on n.oid = c.relnamespace
  where n.nspname = table_schema and c.relname = table_name
$$;
comment on function pgstream.relation_oid(text, text) is 'Private. Oid of the relation of that name, null if there is '
  'none.';

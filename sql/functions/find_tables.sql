-- As it is written (public.My orders), else as SQL reads it (public."My orders"). A table that is gone, while its
-- snapshot is still under way, goes by the name it had.
create or replace function pgstream.find_tables(name text) returns setof oid
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
declare
  parts text[];
begin
  begin
    parts := parse_ident(name);
  exception when invalid_parameter_value then
    null;  -- no identifiers as SQL has them
  end;
  if cardinality(parts) = 1 then
    parts := 'public'::text || parts;
  end if;
  return query
    with known as (
      select c.oid, n.nspname::text as schema_name, c.relname::text as table_name
      from pg_class c join pg_namespace n on n.oid = c.relnamespace
      where c.relkind in ('r', 'p', 'v', 'm', 'f') and n.nspname !~ '^pg_'
      union all
      select s.relid, s.table_schema, s.table_name from pgstream.snapshots s
      where s.state in ('pending', 'running', 'paused') and not exists (select from pg_class c where c.oid = s.relid)
    ), written as (
      select k.oid from known k
      where (k.schema_name = 'public' and k.table_name = name)
        or (starts_with(name, k.schema_name || '.') and k.schema_name || '.' || k.table_name = name)
    )
    select w.oid from written w
    union
    select k.oid from known k
    where cardinality(parts) = 2 and (k.schema_name, k.table_name) = (parts[1], parts[2])
      and not exists (select from written);
end
$$;
comment on function pgstream.find_tables(text) is 'Private. The relations that a name in pgstream.signals.tables may '
  'mean.';

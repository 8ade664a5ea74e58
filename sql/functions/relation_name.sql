create or replace function pgstream.relation_name(relation oid) returns text
language sql stable
set search_path = pg_catalog, pg_temp
as $$
  select format('%I.%I', n.nspname, c.relname)
  from pg_class c join pg_namespace n on n.oid = c.relnamespace
  where c.oid = relation
$$;
comment on function pgstream.relation_name(oid) is 'Private. Qualified and quoted name of a relation, null if it is '
  'gone.';

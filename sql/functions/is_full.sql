create or replace function pgstream.is_full(relation oid) returns boolean
language sql stable
set search_path = pg_catalog, pg_temp
as $$
  select exists (select from pg_class c
    where c.oid in (select pgstream.relation_tree(relation)) and c.relreplident = 'f')
$$;
comment on function pgstream.is_full(oid) is 'Private. Whether the table or a partition has REPLICA IDENTITY FULL.';

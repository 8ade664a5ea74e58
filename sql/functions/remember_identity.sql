-- Runs as its owner, because members of the publication's role may not write that table. So nothing is believed that
-- a caller says: identity and root are read from the catalog, and a table that is full has nothing to remember.
create or replace function pgstream.remember_identity(relation oid) returns void
language sql volatile security definer
set search_path = pg_catalog, pg_temp
as $$
  insert into pgstream.former_identities as former
    (table_oid, root_oid, table_schema, table_name, identity, index_name)
  select c.oid, coalesce(pg_partition_root(c.oid), c.oid), n.nspname, c.relname, c.relreplident,
    (select x.relname from pg_index i join pg_class x on x.oid = i.indexrelid
     where i.indrelid = c.oid and i.indisreplident)
  from pg_class c join pg_namespace n on n.oid = c.relnamespace
  where c.oid = relation and c.relkind in ('r', 'p') and c.relreplident <> 'f'
  on conflict (table_oid) do update
    set root_oid = excluded.root_oid, table_schema = excluded.table_schema, table_name = excluded.table_name,
        identity = excluded.identity, index_name = excluded.index_name, remembered_at = excluded.remembered_at
$$;
comment on function pgstream.remember_identity(oid) is 'Private. Notes the table''s present replica identity, before '
  'it is made full.';

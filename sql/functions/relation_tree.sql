-- A replica identity belongs to each partition, not to the root. Children by inheritance are no part of a table here.
create or replace function pgstream.relation_tree(relation oid) returns setof oid
language sql stable
set search_path = pg_catalog, pg_temp
as $$
  select c.oid from pg_class c where c.oid = relation
  union
  select c.oid
  from pg_partition_tree(relation::regclass) p join pg_class c on c.oid = p.relid
  where c.relkind in ('r', 'p') and c.relpersistence = 'p'
$$;
comment on function pgstream.relation_tree(oid) is 'Private. The table and, where it is partitioned, its partitions '
  'that write WAL.';

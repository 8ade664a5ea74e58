-- The rows of the WAL carry the columns of the replica identity; under FULL any unique key does.
create or replace function pgstream.snapshot_key(relation oid) returns text[]
language sql stable
set search_path = pg_catalog, pg_temp
as $$
  select case
    when not exists (
      select from pg_attribute a
      where a.attrelid = relation and a.attgenerated <> '' and a.attname = any (keyed.columns))
    then keyed.columns end
  from pg_class c
  cross join lateral (
    select case
      when c.relreplident in ('d', 'i') then pgstream.identity_columns(c.oid, c.relreplident)
      else coalesce(pgstream.identity_columns(c.oid, 'd'), (
        select pgstream.identity_columns(c.oid, 'i', x.relname)
        from pg_index i join pg_class x on x.oid = i.indexrelid
        where i.indrelid = c.oid and pgstream.identity_columns(c.oid, 'i', x.relname) is not null
        order by i.indnkeyatts, i.indexrelid limit 1)) end as columns
  ) as keyed
  where c.oid = relation
$$;
comment on function pgstream.snapshot_key(oid) is 'Private. The columns that tell the rows of a table apart in an '
  'incremental snapshot: primary key, else a unique index over NOT NULL columns; null where there is none.';

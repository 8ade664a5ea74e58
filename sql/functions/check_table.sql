create or replace function pgstream.check_table(changed pgstream.tables) returns void
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
declare
  found_table pg_class;
  named text := format('%I.%I', changed.table_schema, changed.table_name);
  kind text;
  near text;
begin
  select * into found_table from pg_class c where c.oid = changed.relid;
  if not found then
    near := (select string_agg(distinct format('%I.%I', n.nspname, c.relname), ', ')
             from pg_class c join pg_namespace n on n.oid = c.relnamespace
             where lower(c.relname) = lower(changed.table_name) and c.relkind in ('r', 'p')
               and n.nspname not in ('pg_catalog', 'information_schema', 'pgstream'));
    perform pgstream.refuse('pgstream_table_missing', format('table %s does not exist', named),
      'Names are taken as they are written, without quotes and without folding to lower case.',
      coalesce('There is ' || near || '.', 'Create the table first, or set table_schema.'), '42P01');
  end if;
  kind := case
    when changed.table_schema in ('pg_catalog', 'information_schema', 'pgstream') or found_table.oid < 16384
      or changed.table_schema like 'pg\_toast%' then 'a system or control table'
    when found_table.relkind = 'v' then 'a view'
    when found_table.relkind = 'm' then 'a materialized view'
    when found_table.relkind = 'f' then 'a foreign table'
    when found_table.relkind = 'S' then 'a sequence'
    when found_table.relkind not in ('r', 'p') then 'not a table'
    when found_table.relpersistence = 't' then 'a temporary table'
    when found_table.relpersistence = 'u' then 'an unlogged table'
  end;
  if kind is not null then
    perform pgstream.refuse('pgstream_table_kind', format('%s is %s, which can''t be streamed', named, kind),
      'Only changes of ordinary and partitioned tables are in the WAL for logical decoding.',
      case when kind like '%view' then 'Stream the tables that the view reads.'
           when kind = 'an unlogged table' then format('ALTER TABLE %s SET LOGGED; first.', named)
           else 'Name an ordinary table of this database.' end, '42809');
  end if;
  if found_table.relispartition then
    perform pgstream.refuse('pgstream_table_partition', format('%s is a partition', named),
      'Its rows appear under the root of the partitions, whichever partition they are in.',
      format('Name the root: %s.', pgstream.relation_name(pg_partition_root(found_table.oid))), '42809');
  end if;
  if found_table.relkind = 'p' and pgstream.identity_columns(found_table.oid, 'd') is null then
    perform pgstream.refuse('pgstream_partitioned_without_key', format('partitioned table %s has no primary key',
      named),
      'Each later partition begins with the default replica identity: without a key the application''s UPDATE and '
      'DELETE would fail there.', format('ALTER TABLE %s ADD PRIMARY KEY (…);', named), '55000');
  end if;
end
$$;
comment on function pgstream.check_table(pgstream.tables) is 'Private. Refuses a row whose table is missing or of a '
  'kind that can''t be streamed.';

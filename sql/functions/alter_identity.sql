create or replace function pgstream.alter_identity(relation oid, identity "char", index_name text default null)
returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
  execute format('alter table only %s replica identity ', pgstream.relation_name(relation))
    || case identity when 'f' then 'full' when 'd' then 'default' when 'i' then format('using index %I',
      index_name) end;
exception when object_in_use then
  perform pgstream.refuse('pgstream_table_in_use',
    format('this transaction is using %s', pgstream.relation_name(relation)),
    'Its replica identity can''t change while a cursor is open on it or trigger events are still to fire.',
    'Write to pgstream.tables in a transaction of its own, or before the table is written to.', '55006');
end
$$;
comment on function pgstream.alter_identity(oid, "char", text) is 'Private. Sets the replica identity (f full, d '
  'default, i index) of one table or partition.';

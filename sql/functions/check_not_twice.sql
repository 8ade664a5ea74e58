create or replace function pgstream.check_not_twice(changed pgstream.tables) returns void
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
declare
  other pgstream.tables;
begin
  select * into other from pgstream.tables t
  where t.relid = changed.relid and (t.table_schema, t.table_name) <> (changed.table_schema, changed.table_name);
  if found then
    perform pgstream.refuse('pgstream_table_twice',
      format('table %s has a row already', pgstream.relation_name(changed.relid)),
      format('It is the row of %I.%I, its name at that time: settings belong to the table, not to its name.',
        other.table_schema, other.table_name),
      format('UPDATE pgstream.tables SET table_schema = %L, table_name = %L WHERE (table_schema, table_name) = (%L, '
        '%L);',
        changed.table_schema, changed.table_name, other.table_schema, other.table_name), '23505');
  end if;
end
$$;
comment on function pgstream.check_not_twice(pgstream.tables) is 'Private. Refuses a second row for a table that was '
  'renamed.';

-- Once a statement: each check reads the patterns of all tables, and one INSERT may add a thousand.
create or replace function pgstream.tables_check_subjects() returns trigger
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  named constant text[] := array(
    select format('%I.%I', c.table_schema, c.table_name) from changed c where c.enabled);
begin
  if named <> '{}' then
    perform pgstream.check_subjects(named);
  end if;
  return null;
end
$$;
comment on function pgstream.tables_check_subjects() is 'Private. Trigger function: judges the subjects of the rows '
  'that a statement wrote against those of all tables.';

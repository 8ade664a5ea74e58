create or replace function pgstream.refuse_truncate() returns trigger
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
  perform pgstream.refuse('pgstream_truncate', format('%I.%I can''t be truncated', tg_table_schema, tg_table_name),
    'TRUNCATE fires no row trigger, so the tables would stay in the publication.',
    format('DELETE FROM %I.%I;', tg_table_schema, tg_table_name), '0A000');
  return null;
end
$$;
comment on function pgstream.refuse_truncate() is 'Private. Trigger function: refuses TRUNCATE of a control table.';

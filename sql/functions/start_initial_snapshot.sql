create or replace function pgstream.start_initial_snapshot(streamed pgstream.tables) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
  if streamed.enabled then
    insert into pgstream.signals (type, tables)
    values ('incremental-snapshot', array[pgstream.relation_name(streamed.relid)]);
  else
    raise warning using
      errcode = '01000', constraint = 'pgstream_no_snapshot',
      message = format('initial_snapshot starts none of %s', pgstream.relation_name(streamed.relid)),
      detail = 'The row says enabled = false, and a later UPDATE starts none.',
      hint = 'INSERT INTO pgstream.signals (type, tables) …; once the table is enabled.';
  end if;
end
$$;
comment on function pgstream.start_initial_snapshot(pgstream.tables) is 'Private. Signals an incremental snapshot for '
  'a row of pgstream.tables that was inserted with initial_snapshot.';

create or replace function pgstream.snapshot_targets(signal_type text) returns oid[]
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
declare
  targets oid[];
  left_out text;
  keyless text;
begin
  with enabled as (
    select t.relid, format('%I.%I', t.table_schema, t.table_name) as name, 'snapshot' = any (t.operations) as wanted,
      pgstream.is_published(t.relid) as streamed,
      signal_type = 'incremental-snapshot' and pgstream.snapshot_key(t.relid) is null as lacks_key
    from pgstream.tables t where t.enabled
  )
  select array_agg(e.relid order by e.name) filter (where e.wanted and e.streamed),
    string_agg(e.name, ', ' order by e.name) filter (where not (e.wanted and e.streamed)),
    string_agg(e.name, ', ' order by e.name) filter (where e.wanted and e.streamed and e.lacks_key)
  into targets, left_out, keyless
  from enabled e;
  if left_out is not null then
    raise notice using
      message = format('no snapshot of %s', left_out),
      detail = 'Its operations leave snapshot out, or it is not streamed at present.',
      hint = 'pgstream.table_status shows what is wrong with a table.';
  end if;
  if keyless is not null then
    perform pgstream.refuse('pgstream_snapshot_key', format('%s: no primary key and no unique index over NOT NULL '
      'columns', keyless), 'An incremental snapshot goes on beside the changes, and tells rows apart by their key.',
      'Name the other tables in this signal, and take these by a full-snapshot.', '55000');
  end if;
  if targets is null then
    perform pgstream.refuse('pgstream_signal_tables', 'there is no table to take a snapshot of',
      'No table of pgstream.tables is enabled and publishes snapshot.', 'INSERT INTO pgstream.tables (table_name) …');
  end if;
  return targets;
end
$$;
comment on function pgstream.snapshot_targets(text) is 'Private. All tables, for a signal that names none.';

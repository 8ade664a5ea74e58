create or replace function pgstream.check_snapshot(relation oid, method text) returns void
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
declare
  streamed pgstream.tables;
  named text := coalesce(pgstream.relation_name(relation), format('table with oid %s', relation));
  root oid := pg_partition_root(relation);
  this_row text;
begin
  select * into streamed from pgstream.tables t where t.relid = relation;
  if not found then
    perform pgstream.refuse('pgstream_not_streamed', format('%s is not streamed', named),
      case when root <> relation then format('It is a partition: its rows appear under %s.',
        pgstream.relation_name(root)) else 'It has no row in pgstream.tables.' end,
      case when root <> relation then format('Name the root: %s.', pgstream.relation_name(root))
           else 'INSERT INTO pgstream.tables (table_schema, table_name) …; first.' end, '55000');
  end if;
  this_row := format('WHERE (table_schema, table_name) = (%L, %L);', streamed.table_schema, streamed.table_name);
  if not streamed.enabled then
    perform pgstream.refuse('pgstream_not_streamed', format('%s is disabled', named),
      'A snapshot is followed by the changes, and those are not streamed.',
      'UPDATE pgstream.tables SET enabled = true ' || this_row, '55000');
  elsif not pgstream.is_published(relation) then
    perform pgstream.refuse('pgstream_not_streamed', format('%s is not in publication pgstream', named),
      'A snapshot is followed by the changes, and those are not streamed.',
      'UPDATE pgstream.tables SET enabled = enabled ' || this_row, '55000');
  elsif 'snapshot' <> all (streamed.operations) then
    perform pgstream.refuse('pgstream_snapshot_operation', format('%s does not publish snapshot', named),
      format('Its operations are %s.', array_to_string(streamed.operations, ', ')),
      'UPDATE pgstream.tables SET operations = operations || ''{snapshot}'' ' || this_row, '55000');
  end if;
  perform pgstream.check_rights(relation);
  if method = 'incremental' and pgstream.snapshot_key(relation) is null then
    perform pgstream.refuse('pgstream_snapshot_key', format('%s has no primary key and no unique index over NOT NULL '
      'columns', named), 'An incremental snapshot goes on beside the changes, and tells rows apart by their key.',
      format('ALTER TABLE %s ADD PRIMARY KEY (…); or a full-snapshot, during which events wait.', named), '55000');
  end if;
end
$$;
comment on function pgstream.check_snapshot(oid, text) is 'Private. Refuses a snapshot of a table that is not '
  'streamed, is somebody else''s, or lacks the key.';

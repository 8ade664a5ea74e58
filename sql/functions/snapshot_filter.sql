-- With a column of another type the same text may mean other functions, of somebody else: the relay calls this in
-- each transaction in which it uses the filter, after it has locked the table.
create or replace function pgstream.snapshot_filter(snapshot_id bigint) returns text
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
declare
  asked pgstream.snapshots;
begin
  select * into asked from pgstream.snapshots s where s.id = snapshot_id;
  if asked.row_filter is not null and asked.row_shape is distinct from pgstream.row_shape(asked.relid) then
    perform pgstream.refuse('pgstream_filter_outdated',
      format('the columns of %I.%I changed since its snapshot was asked for', asked.table_schema, asked.table_name),
      'Its row_filter was proved for the columns of that time.', 'INSERT the signal again.', '55000');
  end if;
  return asked.row_filter;
end
$$;
comment on function pgstream.snapshot_filter(bigint) is 'Private to the relay. The proved row filter of a snapshot, '
  'null without one; an error where the table''s columns have changed since.';

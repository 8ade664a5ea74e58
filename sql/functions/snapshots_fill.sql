-- Members of the publication's owner role may insert here, because the trigger on the signals does so in their name:
-- whoever does, these checks hold, and no row_filter is stored that Postgres has not proved.
create or replace function pgstream.snapshots_fill() returns trigger
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
  if not exists (select from pgstream.signals s where s.id = new.signal_id) then
    perform pgstream.refuse('pgstream_snapshot_signal', 'a snapshot belongs to a signal',
      'The relay looks at pgstream.snapshots when it meets a signal.',
      'INSERT INTO pgstream.signals (type, tables) VALUES (''incremental-snapshot'', ''{public.orders}'');');
  end if;
  perform pgstream.check_snapshot(new.relid, new.method);
  select n.nspname, c.relname into new.table_schema, new.table_name
  from pg_class c join pg_namespace n on n.oid = c.relnamespace where c.oid = new.relid;
  if new.row_filter is not null then
    new.row_filter := pgstream.prove_filter(new.relid, new.row_filter);
    new.row_shape := pgstream.row_shape(new.relid);
  end if;
  perform pgstream.warn_relay_needs(new.relid);
  return new;
end
$$;
comment on function pgstream.snapshots_fill() is 'Private. Trigger function: judges a snapshot, fills in its table''s '
  'name, and proves its row_filter.';

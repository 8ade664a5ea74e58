-- A guess, and said to be one: 60000 rows or 30 MB a second, whichever takes longer.
create or replace function pgstream.warn_full_snapshot(relations oid[]) returns void
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
declare
  size_bytes numeric;
  row_count numeric;
begin
  select sum(pg_table_size(tree.oid)), sum(greatest(c.reltuples, 0)) filter (where c.relkind = 'r')
  into size_bytes, row_count
  from unnest(relations) as named (oid)
  cross join lateral pgstream.relation_tree(named.oid) as tree (oid)
  join pg_class c on c.oid = tree.oid;
  raise warning using
    errcode = '01000', constraint = 'pgstream_full_snapshot_waits',
    message = format('full snapshot of %s: %s, about %s rows, roughly %s',
      (select string_agg(pgstream.relation_name(o), ', ') from unnest(relations) as o),
      pg_size_pretty(size_bytes), row_count::bigint,
      make_interval(secs => ceil(greatest(row_count / 60000, size_bytes / 31457280, 1))::integer)),
    detail = 'All events of this database wait meanwhile, and the slot keeps their WAL.',
    hint = 'An incremental-snapshot lets events go on. To end this one: '
      'INSERT INTO pgstream.signals (type) VALUES (''stop-snapshot'');';
end
$$;
comment on function pgstream.warn_full_snapshot(oid[]) is 'Private. Warns that events wait, with size and estimates.';

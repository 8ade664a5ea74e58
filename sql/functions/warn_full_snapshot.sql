-- A guess, and said to be one: 60000 rows or 30 MB a second, whichever takes longer. The planner knows how large a
-- table is by now; the statistics may know nothing of it yet.
create or replace function pgstream.warn_full_snapshot(relations oid[]) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  size_bytes numeric := 0;
  row_count numeric := 0;
  relation oid;
  plan json;
begin
  foreach relation in array relations loop
    size_bytes := size_bytes
      + (select sum(pg_table_size(tree.oid)) from pgstream.relation_tree(relation) as tree (oid));
    execute format('explain (format json) select from %s %s',
      (select case c.relkind when 'p' then '' else 'only' end from pg_class c where c.oid = relation),
      pgstream.relation_name(relation)) into plan;
    row_count := row_count + (plan -> 0 -> 'Plan' ->> 'Plan Rows')::numeric;
  end loop;
  raise warning using
    errcode = '01000', constraint = 'pgstream_full_snapshot_waits',
    message = format('full snapshot of %s: %s, about %s rows, roughly %s (h:m:s)',
      (select string_agg(pgstream.relation_name(o), ', ') from unnest(relations) as o),
      pg_size_pretty(size_bytes), row_count,
      make_interval(secs => ceil(greatest(row_count / 60000, size_bytes / 31457280, 1))::integer)),
    detail = 'All events of this database wait meanwhile, and the slot keeps their WAL.',
    hint = 'An incremental-snapshot lets events go on. To end this one: '
      'INSERT INTO pgstream.signals (type) VALUES (''stop-snapshot'');';
end
$$;
comment on function pgstream.warn_full_snapshot(oid[]) is 'Private. Warns that events wait, with size and estimates.';

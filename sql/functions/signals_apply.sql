create or replace function pgstream.signals_apply() returns trigger
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  targets oid[];
begin
  if new.type not in ('incremental-snapshot', 'full-snapshot') then
    perform pgstream.check_command(new);
    return null;
  end if;
  targets := coalesce(new.relids, pgstream.snapshot_targets(new.type));
  insert into pgstream.snapshots (signal_id, relid, method, row_filter, block_count)
  select new.id, target.relid, split_part(new.type, '-', 1), new.options ->> 'row_filter',
    (new.options ->> 'block_count')::numeric::integer
  from unnest(targets) with ordinality as target (relid, position) order by target.position;
  if new.type = 'full-snapshot' then
    perform pgstream.warn_full_snapshot(targets);
  end if;
  return null;
end
$$;
comment on function pgstream.signals_apply() is 'Private. Trigger function: writes the pending rows of '
  'pgstream.snapshots, or judges whether a pause, resume or stop is allowed.';

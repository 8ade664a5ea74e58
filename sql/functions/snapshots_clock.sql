-- The rate of a snapshot is that of the time it ran: a pause does not count, nor, beyond a minute, a relay that was
-- away.
create or replace function pgstream.snapshots_clock() returns trigger
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
  if new.updated_at = old.updated_at then
    new.updated_at := clock_timestamp();
  end if;
  if old.state = 'running' and new.updated_at > old.updated_at then
    new.running_time := old.running_time + least(new.updated_at - old.updated_at, interval '1 minute');
  end if;
  return new;
end
$$;
comment on function pgstream.snapshots_clock() is 'Private. Trigger function: fills in updated_at and running_time.';

-- 0.8 s for all locks of one row together. Below deadlock_timeout, or the application could be the one to be
-- cancelled in a deadlock with a DBA.
create or replace function pgstream.lock_deadline() returns timestamptz
language sql volatile
set search_path = pg_catalog, pg_temp
as $$
  select clock_timestamp() + least(interval '0.8 s', 0.8 * current_setting('deadlock_timeout')::interval)
$$;
comment on function pgstream.lock_deadline() is 'Private. Until when the triggers wait for locks.';

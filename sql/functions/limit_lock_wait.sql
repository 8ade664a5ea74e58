create or replace function pgstream.limit_lock_wait(deadline timestamptz) returns void
language sql volatile
set search_path = pg_catalog, pg_temp
as $$
  select set_config('lock_timeout',
    greatest(1, ceil(extract(epoch from deadline - clock_timestamp()) * 1000))::integer || 'ms', true)
$$;
comment on function pgstream.limit_lock_wait(timestamptz) is 'Private. Sets lock_timeout to what is left until the '
  'deadline; a trigger function with its own lock_timeout clause undoes that at its end.';

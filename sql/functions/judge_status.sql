create or replace function pgstream.judge_status(
  slot_exists boolean, wal_status text, slot_was_made boolean, relay_fresh boolean, relay_state text, relay_error text,
  out state text, out error text, out hint text
)
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
begin
  if not pgstream.is_home() then
    state := 'offline';
    error := 'this database is a copy of the one that pgstream was installed in';
    hint := 'UPDATE pgstream.settings SET database = ''an alias of its own''; then run pgstream install here.';
  elsif not slot_exists and slot_was_made or wal_status = 'lost' then
    state := 'lost';
    error := case when slot_exists then 'the replication slot lost WAL that was not published yet'
                  else 'the replication slot is gone' end;
    hint := 'pgstream install --new-slot records the gap and goes on; add --snapshot to read the tables again.';
  elsif not slot_exists then
    state := 'offline';
    error := 'there is no replication slot yet';
    hint := 'pgstream install, or SELECT pgstream.create_slot();';
  elsif relay_fresh is not true then
    state := 'offline';
    error := case when relay_fresh is null then 'no relay has run yet'
                  else 'the relay has given no sign of life for 15 s' end;
    hint := 'Start pgstream-relay run with this database''s DSN; if it runs, see its log.';
  elsif relay_state = 'lost' then
    state := 'lost';
  elsif relay_state = 'streaming' and relay_error is null then
    state := 'streaming';
  else
    state := 'stalled';
  end if;
end
$$;
comment on function pgstream.judge_status(boolean, text, boolean, boolean, text, text) is 'Private. The state of '
  'pgstream.status, with what pgstream itself can say about it.';

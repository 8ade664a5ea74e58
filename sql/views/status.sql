create or replace view pgstream.status as
  select judged.state,
    (select pg_catalog.count(*) from pgstream.relays r
     where r.role = 'standby' and r.heartbeat_at > pg_catalog.clock_timestamp() - interval '15 s')::integer as standbys,
    s.slot_name,
    slot.active as slot_active,
    slot.wal_status,
    pg_catalog.pg_wal_lsn_diff(here.lsn, slot.restart_lsn)::bigint as retained_bytes,
    pg_catalog.pg_wal_lsn_diff(here.lsn, slot.confirmed_flush_lsn)::bigint as lag_bytes,
    case when pg_catalog.jsonb_typeof(active.details -> 'lag_seconds') = 'number'
         then (active.details ->> 'lag_seconds')::double precision end as lag_seconds,
    active.relay,
    active.version as relay_version,
    active.last_event_at,
    case when judged.state <> 'streaming' then coalesce(judged.error, active.error) end as error,
    case when judged.state <> 'streaming' then coalesce(judged.hint, active.hint, 'See the log of the '
      'relay.') end as hint
  from pgstream.settings s
  left join pg_catalog.pg_replication_slots slot
    on slot.slot_name = s.slot_name and slot.database = pg_catalog.current_database()
  left join pgstream.relay_state kept on kept.slot_name = s.slot_name
  left join lateral (
    select r.*, r.heartbeat_at > pg_catalog.clock_timestamp() - interval '15 s' as fresh
    from pgstream.relays r where r.role = 'active' order by r.heartbeat_at desc limit 1) as active on true
  cross join lateral (
    select case when pg_catalog.pg_is_in_recovery() then pg_catalog.pg_last_wal_replay_lsn()
                else pg_catalog.pg_current_wal_lsn() end as lsn) as here
  cross join lateral pgstream.judge_status(
    slot.slot_name is not null, slot.wal_status, kept.slot_name is not null,
    active.fresh, active.state, active.error) as judged;
comment on view pgstream.status is 'Whether this database is streaming; if not, why, and what to do. One row.';
comment on column pgstream.status.state is 'streaming; stalled (a relay runs, and waits for something); lost (WAL is '
  'gone before it was published); offline (no relay).';
comment on column pgstream.status.standbys is 'Relays that would take over.';
comment on column pgstream.status.slot_name is 'The replication slot.';
comment on column pgstream.status.slot_active is 'Whether somebody reads from it; null if it does not exist.';
comment on column pgstream.status.wal_status is 'pg_replication_slots.wal_status.';
comment on column pgstream.status.retained_bytes is 'WAL that the slot keeps on the server''s disk.';
comment on column pgstream.status.lag_bytes is 'WAL that is not confirmed yet.';
comment on column pgstream.status.lag_seconds is 'How far behind the relay says it is.';
comment on column pgstream.status.relay is 'The active relay, or the last that was.';
comment on column pgstream.status.relay_version is 'Its version.';
comment on column pgstream.status.last_event_at is 'When it published last.';
comment on column pgstream.status.error is 'What is wrong; null while streaming.';
comment on column pgstream.status.hint is 'What to do; null while streaming.';

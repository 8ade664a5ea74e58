-- needs: pgstream.settings
-- WAL that the slot holds back.
select 'slot-retains' as id,
       'warning' as severity,
       format('replication slot %s holds back %s of WAL', slot.slot_name, pg_size_pretty(held.bytes)) as what,
       'see why the relay is behind: pgstream status; look for long transactions, too' as hint
from pgstream.settings as settings
join pg_replication_slots as slot on slot.slot_name = settings.slot_name
cross join lateral (
    select pg_wal_lsn_diff(
        case when pg_is_in_recovery() then pg_last_wal_replay_lsn() else pg_current_wal_lsn() end,
        slot.restart_lsn) as bytes
) as held
where held.bytes > 1024 ^ 3;

-- What happens to the slot, or to the disk, while no relay reads.
select 'wal-unlimited' as id,
       'warning' as severity,
       'max_slot_wal_keep_size is -1: a relay that stays away lets WAL fill the disk' as what,
       'ALTER SYSTEM SET max_slot_wal_keep_size = ''50GB'' (what the disk can spare), then select pg_reload_conf()' as hint
where current_setting('max_slot_wal_keep_size') = '-1'
union all
select 'slot-idle-timeout',
       'warning',
       format('idle_replication_slot_timeout is %s: a relay that stays away as long loses its slot',
              current_setting('idle_replication_slot_timeout', true)),
       'ALTER SYSTEM SET idle_replication_slot_timeout = 0, then select pg_reload_conf()'
where coalesce(current_setting('idle_replication_slot_timeout', true), '0') <> '0';

-- The relay's replication session needs a WAL sender, unless it has one already.
select 'wal-senders-exhausted' as id,
       'error' as severity,
       format('all %s WAL senders of this server are taken', current_setting('max_wal_senders')) as what,
       'end one that nobody needs (select * from pg_stat_replication), or raise max_wal_senders and restart' as hint
where (select count(*) from pg_stat_replication) >= current_setting('max_wal_senders')::int
  and not exists (select from pg_replication_slots
                  where database = current_database() and active and starts_with(slot_name, 'pgstream_'));

-- A slot must be free until ours is there.
select 'slots-exhausted' as id,
       'error' as severity,
       format('all %s replication slots of this server are taken', current_setting('max_replication_slots')) as what,
       'drop a slot that nobody uses (select * from pg_replication_slots), or raise max_replication_slots and restart' as hint
where (select count(*) from pg_replication_slots) >= current_setting('max_replication_slots')::int
  and not exists (select from pg_replication_slots
                  where database = current_database() and plugin = 'pgoutput' and starts_with(slot_name, 'pgstream_'));

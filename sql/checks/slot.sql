-- needs: pgstream.settings
-- needs: pgstream.relay_state
-- The slot of this database: missing, lost, about to be lost, or left alone. Columns newer than 15 are read through JSON.
select finding.*
from pgstream.settings as settings
left join pg_replication_slots as slot on slot.slot_name = settings.slot_name
cross join lateral (select to_jsonb(slot) ->> 'invalidation_reason' as reason) as newer
cross join lateral (
    select 'slot-missing' as id,
           'error' as severity,
           format('replication slot %s does not exist: no change is kept for the relay', settings.slot_name) as what,
           case when exists (select from pgstream.relay_state as kept where kept.slot_name = settings.slot_name)
                then 'pgstream install --new-slot makes another and records the gap'
                else 'pgstream install makes it' end as hint
    where slot.slot_name is null
    union all
    select 'slot-foreign',
           'error',
           format('replication slot %s belongs to database %s', slot.slot_name, slot.database),
           'this database is a copy: give it an alias and a slot name of its own in pgstream.settings, then pgstream install'
    where slot.database <> current_database()
    union all
    select 'slot-lost',
           'error',
           format('replication slot %s is lost (%s): changes that were not published are gone',
                  slot.slot_name, coalesce(newer.reason, slot.wal_status)),
           'pgstream install --new-slot makes another and records the gap'
    where slot.wal_status = 'lost' or newer.reason is not null
    union all
    select 'slot-at-risk',
           'error',
           format('replication slot %s needs WAL beyond max_slot_wal_keep_size (%s): the next checkpoint may lose it',
                  slot.slot_name, current_setting('max_slot_wal_keep_size')),
           'raise max_slot_wal_keep_size and reload now, then see why the relay is behind: pgstream status'
    where slot.wal_status = 'unreserved'
    union all
    select 'slot-inactive',
           'warning',
           format('no relay is connected to replication slot %s', slot.slot_name),
           'start pgstream-relay run; pgstream status shows what the last one said'
    where not slot.active and slot.database = current_database() and slot.wal_status is distinct from 'lost'
      and newer.reason is null
) as finding;

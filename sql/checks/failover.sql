-- needs: pgstream.settings
-- What a failover of Postgres does to the stream; an asynchronous one may leave events of commits that are gone.
select case when slot.slot_name is not null and not keeps.failover then 'failover-slot' else 'failover-asynchronous' end as id,
       case when standbys.number > 0 then 'warning' else 'info' end as severity,
       case when slot.slot_name is not null and not keeps.failover
            then format('replication slot %s does not survive a failover: a gap follows one', slot.slot_name)
            else 'after an asynchronous failover the stream may hold events of transactions that the new primary never had'
       end as what,
       case when slot.slot_name is not null and not keeps.failover
            then case when current_setting('server_version_num')::int >= 170000
                      then 'drop the slot while no relay runs and nothing is unpublished, then pgstream install --new-slot'
                      else 'PostgreSQL 17 and newer have failover slots' end
            else 'name the standby''s slot in synchronized_standby_slots (17 and newer), or replicate synchronously' end as hint
from pgstream.settings as settings
left join pg_replication_slots as slot on slot.slot_name = settings.slot_name
cross join lateral (select coalesce((to_jsonb(slot) ->> 'failover')::boolean, false) as failover) as keeps
cross join lateral (
    select count(*) as number
    from pg_stat_replication as sender
    where not exists (select from pg_replication_slots as logical
                      where logical.active_pid = sender.pid and logical.slot_type = 'logical')
      and sender.application_name <> 'pg_basebackup'
) as standbys
where coalesce(current_setting('synchronized_standby_slots', true), '') = ''
  and current_setting('synchronous_standby_names') = '';

-- needs: pgstream.settings
-- needs: pgstream.relay_state
-- A restored or cloned database brings another one's positions along.
select 'database-copy' as id,
       'error' as severity,
       'this database is a copy of another one: its streams belong to that one' as what,
       'give it an alias and streams of its own in pgstream.settings, then pgstream install; or take the streams over: '
           'pgstream install --adopt-stream' as hint
from pgstream.relay_state as kept
join pgstream.settings as settings on settings.slot_name = kept.slot_name
where kept.source <> (select system_identifier from pg_control_system()) || '/' ||
                     (select oid from pg_database where datname = current_database());

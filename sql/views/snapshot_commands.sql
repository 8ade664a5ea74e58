-- Level-triggered: whatever came in between, the newest counts, and it counts once, also after a restart of the relay.
create or replace view pgstream.snapshot_commands as
  select s.id as snapshot_id, newest.id as command_id, newest.type
  from pgstream.snapshots s
  cross join lateral (
    select g.id, g.type from pgstream.signals g
    where g.type in ('pause-snapshot', 'resume-snapshot', 'stop-snapshot')
      and g.id > greatest(s.signal_id, s.command_id)
      and (g.relids is null or s.relid = any (g.relids))
    order by g.id desc limit 1) as newest
  where s.state in ('pending', 'running', 'paused');
comment on view pgstream.snapshot_commands is 'Private to the relay. The newest pause, resume or stop of each snapshot '
  'under way that was not carried out yet.';

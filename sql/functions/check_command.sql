-- The relay carries the command out, for each snapshot that is under way then: so it is not an error when one has just
-- ended.
create or replace function pgstream.check_command(command pgstream.signals) returns void
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
declare
  open_oids constant oid[] := array(
    select distinct s.relid from pgstream.snapshots s where s.state in ('pending', 'running', 'paused'));
  idle text;
begin
  perform pgstream.check_rights(o) from unnest(coalesce(command.relids, open_oids)) as o;
  idle := case
    when command.relids is not null then (
      select string_agg(n.name, ', ') from unnest(command.relids, command.tables) as n (relid, name)
      where n.relid <> all (open_oids))
    when open_oids = '{}' then 'any table' end;
  if idle is not null then
    raise warning using
      errcode = '01000', constraint = 'pgstream_no_snapshot',
      message = format('%s: no snapshot of %s is under way', command.type, idle),
      detail = 'It may have ended already.',
      hint = 'SELECT * FROM pgstream.snapshot_progress; shows all of them.';
  end if;
end
$$;
comment on function pgstream.check_command(pgstream.signals) is 'Private. Refuses a pause, resume or stop by who does '
  'not own the table; warns where it finds no snapshot.';

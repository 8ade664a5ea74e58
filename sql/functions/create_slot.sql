-- Nobody can write a control table between the slot's first position and the state that is kept for it: the locks
-- come first, and a LOCK alone takes no transaction id, which pg_create_logical_replication_slot would not allow.
create or replace function pgstream.create_slot(failover boolean default true) returns pg_lsn
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  slot text;
  start_lsn pg_lsn;
begin
  lock table pgstream.settings, pgstream.streams, pgstream.tables in share mode;
  slot := (select s.slot_name from pgstream.settings s);
  start_lsn := pgstream.existing_slot(slot);
  if start_lsn is not null then
    return start_lsn;
  end if;

  if current_setting('wal_level') <> 'logical' then
    perform pgstream.refuse('pgstream_wal_level', format('wal_level is %s', current_setting('wal_level')),
      'Logical decoding needs wal_level = logical.',
      'ALTER SYSTEM SET wal_level = logical; then restart the server (on a managed service: its parameter for '
      'logical replication).', '55000');
  end if;
  begin
    if failover and current_setting('server_version_num')::integer >= 170000 then
      execute 'select pg_create_logical_replication_slot($1, ''pgoutput'', false, false, true)' using slot;
    else
      perform pg_create_logical_replication_slot(slot, 'pgoutput');
    end if;
  exception when insufficient_privilege then
    perform pgstream.refuse('pgstream_slot_rights', format('%I may not create a replication slot', current_user),
      'Creating a slot needs the role attribute REPLICATION.',
      format('A superuser can run: ALTER ROLE %I REPLICATION (managed services have a role of their own for it).',
        current_user), '42501');
  end;
  start_lsn := (select s.confirmed_flush_lsn from pg_replication_slots s where s.slot_name = slot);
  insert into pgstream.relay_state as kept (slot_name, source, lsn, control)
  select slot, format('%s/%s', c.system_identifier, d.oid), start_lsn, pgstream.control_rows()
  from pg_control_system() c, pg_database d where d.datname = current_database()
  on conflict (slot_name) do update
    set source = excluded.source, lsn = excluded.lsn, control = excluded.control, updated_at = excluded.updated_at;
  return start_lsn;
end
$$;
comment on function pgstream.create_slot(boolean) is 'Creates the replication slot settings.slot_name (a failover '
  'slot on 17 and newer, unless told otherwise) with the state of the settings at its first position; returns that '
    'position. Does nothing where the slot is there.';

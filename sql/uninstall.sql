-- Takes pgstream out of one database: identities go back, publication, schema and slot go. Stop the relay first.
--
--   psql -v ON_ERROR_STOP=1 -d shop -f sql/uninstall.sql
--
-- The slot goes last, because dropping one can't be rolled back: what is needed by then is kept in parameters.
do $$
begin
  perform pg_advisory_xact_lock(hashtextextended('pgstream install', 0));
  perform set_config('pgstream.uninstalled_slot', '', false), set_config('pgstream.uninstalled_owner', '', false);
  if to_regclass('pgstream.migrations') is null then
    raise exception using
      errcode = 'invalid_schema_name', constraint = 'pgstream_not_installed',
      message = format('pgstream is not installed in database %I', current_database()),
      detail = 'There is no schema pgstream that is ours. Nothing was changed.',
      hint = 'Connect to the database that it was installed in.';
  end if;
  perform
    set_config('pgstream.uninstalled_slot', (select slot_name from pgstream.settings), false),
    set_config('pgstream.uninstalled_owner', coalesce(
      (select pg_get_userbyid(pubowner) from pg_publication where pubname = 'pgstream'), ''), false);
end
$$;

do $$
declare
  slot text := current_setting('pgstream.uninstalled_slot');
  reader integer := (select active_pid from pg_replication_slots
                     where slot_name = slot and database = current_database() and active);
begin
  if reader is not null then
    raise exception using
      errcode = 'object_in_use', constraint = 'pgstream_slot_active',
      message = format('replication slot "%s" is in use', slot),
      detail = format('A relay reads from it (process %s). Nothing was changed.', reader),
      hint = 'Stop the relay of this database, then uninstall.';
  end if;
end
$$;

do $$
declare
  former_lock_timeout text := current_setting('lock_timeout');
  root oid;
  ours boolean;
begin
  drop publication if exists pgstream;
  for root in select distinct f.root_oid from pgstream.former_identities f where pgstream.is_home() loop
    ours := (select bool_and(pg_has_role(current_user, c.relowner, 'USAGE'))
             from pgstream.former_identities f join pg_class c on c.oid = f.table_oid where f.root_oid = root);
    -- Who does not own a table is told how its owner gives the identity back; a busy table stops the uninstall.
    perform pgstream.give_identity_back(root, coalesce(ours, false), pgstream.lock_deadline());
  end loop;
  perform set_config('lock_timeout', former_lock_timeout, true);
end
$$;

drop schema pgstream cascade;

do $$
declare
  owner_role text := current_setting('pgstream.uninstalled_owner');
begin
  -- Only a role that an install made, and only when no other database of the server has use for it.
  if exists (
    select from pg_roles r
    where r.rolname = owner_role and shobj_description(r.oid, 'pg_authid') like 'pgstream:%'
      and not exists (select from pg_shdepend d where d.refclassid = 'pg_authid'::regclass and d.refobjid = r.oid))
  then
    execute format('drop role %I', owner_role);
  end if;
exception when insufficient_privilege or dependent_objects_still_exist then
  raise warning using
    message = format('role %I was not dropped: %s', owner_role, sqlerrm),
    hint = format('DROP ROLE %I; as a superuser, when no database of this server uses it.', owner_role);
end
$$;

do $$
begin
  perform pg_drop_replication_slot(s.slot_name) from pg_replication_slots s
  where s.slot_name = current_setting('pgstream.uninstalled_slot') and s.database = current_database();
  perform set_config('pgstream.uninstalled_slot', '', false), set_config('pgstream.uninstalled_owner', '', false);
end
$$;

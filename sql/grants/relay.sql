-- What the relay's role may do; pgstream.relay_role names it. Without a name the roles that were named before get what
-- this version adds, and nobody else anything.
do $$
declare
  named text := nullif(current_setting('pgstream.relay_role', true), '');
  relay text;
  routine regprocedure;
begin
  if named is not null and not exists (select from pg_roles r where r.rolname = named) then
    raise exception using
      errcode = 'undefined_object', constraint = 'pgstream_relay_role',
      message = format('role %I does not exist', named),
      detail = 'The relay connects under it.',
      hint = format('CREATE ROLE %I LOGIN REPLICATION; (and a password), then install again.', named);
  end if;
  for relay in
    select named where named is not null
    union
    select g.rolname
    from pg_class c cross join aclexplode(c.relacl) a join pg_roles g on g.oid = a.grantee
    where c.oid = 'pgstream.relay_state'::regclass and a.privilege_type = 'UPDATE' and a.grantee <> c.relowner
  loop
    execute format('grant usage on schema pgstream to %I', relay);
    execute format('grant select on pgstream.settings, pgstream.streams, pgstream.tables, pgstream.migrations,'
      ' pgstream.status, pgstream.table_status, pgstream.signals, pgstream.snapshots, pgstream.snapshot_progress,'
      ' pgstream.snapshot_commands to %I', relay);
    -- Which table, and which rows of it, is not the relay's to say.
    execute format('grant update (state, blocks_total, blocks_done, rows_done, started_at, updated_at, finished_at,'
      ' error, hint, command_id, position) on pgstream.snapshots to %I', relay);
    execute format('grant select, update on pgstream.relay_state, pgstream.adoptions to %I', relay);
    execute format('grant select, insert, update on pgstream.gaps to %I', relay);
    execute format('grant select, insert, update, delete on pgstream.relay_positions, pgstream.relays to %I', relay);
    -- Functions that only read: the views call them with the rights of who asks.
    for routine in
      select p.oid from pg_proc p
      where p.pronamespace = 'pgstream'::regnamespace and p.provolatile <> 'v'
    loop
      execute format('grant execute on function %s to %I', routine, relay);
    end loop;
  end loop;
end
$$;

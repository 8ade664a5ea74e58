-- What members of the publication's owner role may do. The triggers then ask who owns the table.
do $$
declare
  dba text := (select pg_get_userbyid(p.pubowner) from pg_publication p where p.pubname = 'pgstream');
  routine regprocedure;
begin
  if dba = (select pg_get_userbyid(n.nspowner) from pg_namespace n where n.nspname = 'pgstream') then
    return;
  end if;
  execute format('grant usage on schema pgstream to %I', dba);
  execute format('grant select on all tables in schema pgstream to %I', dba);
  execute format('grant insert, update, delete on pgstream.tables, pgstream.streams to %I', dba);
  execute format('grant insert, update on pgstream.settings to %I', dba);
  execute format('grant insert (type, tables, options) on pgstream.signals to %I', dba);
  -- What a signal's trigger writes in their name; the one on pgstream.snapshots judges it again.
  execute format('grant insert (signal_id, relid, method, row_filter, block_count) on pgstream.snapshots to %I', dba);
  for routine in
    select p.oid from pg_proc p
    where p.pronamespace = 'pgstream'::regnamespace
      and p.proname not in ('prepare_database', 'adopt_copy', 'create_slot', 'existing_slot')
  loop
    execute format('grant execute on function %s to %I', routine, dba);
  end loop;
end
$$;

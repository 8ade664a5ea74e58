create or replace function pgstream.settings_apply() returns trigger
language plpgsql
set search_path = pg_catalog, pg_temp
set lock_timeout = '800ms'
as $$
declare
  deadline constant timestamptz := pgstream.lock_deadline();
  streamed pgstream.tables;
begin
  perform pgstream.check_settings(new);
  if tg_op = 'INSERT' then
    return null;
  end if;
  perform pgstream.check_slot_name_change(old.slot_name, new.slot_name);
  if (new.database, new.mode, new.subject, new.stream, new.message_prefixes, new.database_at_install)
    is distinct from (old.database, old.mode, old.subject, old.stream, old.message_prefixes, old.database_at_install)
  then
    perform pgstream.take_turn(deadline);
    perform pgstream.check_subjects(null);
  end if;
  if new.stream is null then
    perform pgstream.copy_default_stream(old);
  end if;
  if new.replica_identity <> old.replica_identity then
    for streamed in
      select * from pgstream.tables t where t.enabled and t.replica_identity is null
        and pgstream.relation_name(t.relid) is not null
    loop
      perform pgstream.check_rights(streamed.relid);
      perform pgstream.apply_table(streamed, deadline);
    end loop;
  end if;
  return null;
end
$$;
comment on function pgstream.settings_apply() is 'Private. Trigger function: judges the settings against every table, '
  'then changes replica identities where that setting changed.';

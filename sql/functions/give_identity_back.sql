-- patient: a lock that is not to be had becomes an error; else a warning, for DELETE always works.
create or replace function pgstream.give_identity_back(relation oid, patient boolean, deadline timestamptz)
returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  former pgstream.former_identities;
  reason text;
begin
  for former in select * from pgstream.former_identities f where relation in (f.root_oid, f.table_oid) loop
    perform pgstream.forget_identity(former.table_oid);  -- does so only where it is not full any more
    continue when not exists (select from pg_class c where c.oid = former.table_oid and c.relreplident = 'f');
    reason := pgstream.identity_stays_full(former);
    if reason is null then
      begin
        perform pgstream.lock_table(former.table_oid, 'access exclusive', deadline);
        perform pgstream.alter_identity(former.table_oid, former.identity, former.index_name);
        perform pgstream.forget_identity(former.table_oid);
      exception when lock_not_available or object_in_use or insufficient_privilege then
        if patient then
          raise;
        end if;
        reason := sqlerrm;
      end;
    end if;
    if reason is not null then
      raise warning using
        message = format('%s keeps REPLICA IDENTITY FULL: %s', pgstream.relation_name(former.table_oid), reason),
        detail = 'That costs WAL, and breaks nothing.',
        hint = format('ALTER TABLE %s REPLICA IDENTITY …; when it suits.', pgstream.relation_name(former.table_oid));
    end if;
  end loop;
end
$$;
comment on function pgstream.give_identity_back(oid, boolean, timestamptz) is 'Private. Gives a table and its '
  'partitions the replica identity they had, where it is of use to UPDATE and DELETE.';

-- Before the publication or the identity changes: so no transaction is streamed by half, and walsenders of older
-- minors do not miss the table. Partitions are locked with their root; children by inheritance are not ours.
create or replace function pgstream.lock_table(relation oid, lock_mode text, deadline timestamptz) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  qualified_name text := pgstream.relation_name(relation);
  only_word text := (select case c.relkind when 'p' then '' else 'only' end from pg_class c where c.oid = relation);
  pids text;
begin
  perform pgstream.limit_lock_wait(deadline);
  begin
    execute format('lock table %s %s in %s mode', only_word, qualified_name, lock_mode);
  exception when lock_not_available then
    pids := (select string_agg(distinct l.pid::text, ', ') from pg_locks l
             where l.relation in (select pgstream.relation_tree(lock_table.relation))
               and l.granted and l.pid <> pg_backend_pid());
    perform pgstream.refuse('pgstream_table_busy', format('table %s is in use', qualified_name),
      format('The lock (%s) was not to be had in time. Locks are held by process %s. '
        'Nothing was changed.', lock_mode, coalesce(pids, 'unknown')),
      'Try again when the transactions that write to the table are over; pg_stat_activity shows them.', '55P03');
  end;
  if pgstream.relation_name(relation) is distinct from qualified_name then
    perform pgstream.refuse('pgstream_table_changed', format('table %s was changed at the same time', qualified_name),
      'It was dropped or renamed while its lock was waited for.', 'Try again.', '55P03');
  end if;
end
$$;
comment on function pgstream.lock_table(oid, text, timestamptz) is 'Private. Locks a table, with its partitions, '
  'before the deadline.';

create or replace function pgstream.alter_publication(verb text, relation oid, deadline timestamptz) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
  perform pgstream.limit_lock_wait(deadline);
  if verb = 'add' then
    execute format('alter publication pgstream add table only %s', pgstream.relation_name(relation));
  else
    execute format('alter publication pgstream drop table only %s', pgstream.relation_name(relation));
  end if;
exception
  when lock_not_available then
    perform pgstream.refuse('pgstream_other_change', 'publication pgstream, or the table, is locked by another session',
      'A change of pgstream.tables that is not committed holds the publication; VACUUM or ALTER TABLE the table.',
      'Try again when the other session has committed.', '55P03');
  when object_in_use then
    perform pgstream.refuse('pgstream_table_in_use',
      format('this transaction is using %s', pgstream.relation_name(relation)),
      'It has an open cursor or trigger events that are still to fire.',
      'Write to pgstream.tables in a transaction of its own, or before the table is written to.', '55006');
end
$$;
comment on function pgstream.alter_publication(text, oid, timestamptz) is 'Private. Adds (add) the table to '
  'publication pgstream or drops (drop) it.';

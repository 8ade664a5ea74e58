create or replace function pgstream.check_slot_name_change(former text, next text) returns void
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
begin
  if former <> next and exists (
    select from pg_replication_slots s where s.slot_name = former and s.database = current_database())
  then
    perform pgstream.refuse('pgstream_slot_in_place', format('replication slot "%s" exists', former),
      'Under another name the relay would not find it, and it would hold WAL for ever.',
      format('SELECT pg_drop_replication_slot(%L); first. What it still holds is then lost.', former), '55000');
  end if;
end
$$;
comment on function pgstream.check_slot_name_change(text, text) is 'Private. Refuses another slot name while the slot '
  'is there.';

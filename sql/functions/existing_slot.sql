create or replace function pgstream.existing_slot(slot text) returns pg_lsn
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
declare
  found_slot pg_replication_slots;
begin
  select * into found_slot from pg_replication_slots s where s.slot_name = slot;
  if not found then
    return null;
  end if;
  if found_slot.plugin is distinct from 'pgoutput' or found_slot.database is distinct from current_database() then
    perform pgstream.refuse('pgstream_slot_not_ours', format('replication slot "%s" belongs to something else', slot),
      format('Its plugin is %s, its database %s.', found_slot.plugin, found_slot.database),
      'Choose another name: UPDATE pgstream.settings SET slot_name = …, then create the slot again.', '42710');
  end if;
  if found_slot.wal_status = 'lost' then
    perform pgstream.refuse('pgstream_slot_lost', format('replication slot "%s" is lost', slot),
      'WAL that was not published yet is gone, so there is a gap that a new slot must not hide.',
      'pgstream install --new-slot records the gap and makes a new slot; add --snapshot to read the tables again.',
      '55000');
  end if;
  if not exists (select from pgstream.relay_state r where r.slot_name = slot) then
    perform pgstream.refuse('pgstream_slot_without_state', format('replication slot "%s" was made by hand', slot),
      'The settings as of its first position are not known.',
      format('SELECT pg_drop_replication_slot(%L); then create it by pgstream.create_slot().', slot), '55000');
  end if;
  return found_slot.confirmed_flush_lsn;
end
$$;
comment on function pgstream.existing_slot(text) is 'Private. Confirmed position of the slot if it is there and ours '
  'and usable, null if there is none.';

create or replace function pgstream.apply_table(changed pgstream.tables, deadline timestamptz) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  joins boolean := not pgstream.is_published(changed.relid);
  wanted text := pgstream.wanted_identity(changed);
  becomes_full boolean := wanted = 'full' and exists (
    select from pgstream.relation_tree(changed.relid) as tree (oid) join pg_class c on c.oid = tree.oid
    where c.relreplident <> 'f');
  comes_back boolean := wanted = 'keep' and exists (
    select from pgstream.former_identities f join pg_class c on c.oid = f.table_oid
    where f.root_oid = changed.relid and c.relreplident = 'f' and pgstream.identity_stays_full(f) is null);
begin
  if not changed.enabled then
    if not joins then
      perform pgstream.alter_publication('drop', changed.relid, deadline);
    end if;
    return;
  end if;
  -- The strongest lock first, never an upgrade: two upgrades at once are a deadlock.
  if becomes_full or comes_back then
    perform pgstream.lock_table(changed.relid, 'access exclusive', deadline);
  elsif joins then
    perform pgstream.lock_table(changed.relid, 'share row exclusive', deadline);
  end if;
  if comes_back then
    perform pgstream.give_identity_back(changed.relid, true, deadline);
  end if;
  perform pgstream.check_key(changed, wanted);
  if wanted = 'full' or pgstream.is_full(changed.relid) then
    perform pgstream.check_full_identity(changed.relid);
  end if;
  if becomes_full then
    perform pgstream.make_identity_full(changed.relid);
  end if;
  if joins then
    perform pgstream.alter_publication('add', changed.relid, deadline);
  end if;
end
$$;
comment on function pgstream.apply_table(pgstream.tables, timestamptz) is 'Private. Brings publication and replica '
  'identity in step with a row.';

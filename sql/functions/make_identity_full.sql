create or replace function pgstream.make_identity_full(relation oid) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  member oid;
begin
  for member in
    select c.oid from pgstream.relation_tree(relation) as tree (oid) join pg_class c on c.oid = tree.oid
    where c.relreplident <> 'f'
  loop
    perform pgstream.remember_identity(member);
    perform pgstream.alter_identity(member, 'f');
  end loop;
end
$$;
comment on function pgstream.make_identity_full(oid) is 'Private. REPLICA IDENTITY FULL for the table and its '
  'partitions, the former ones remembered.';

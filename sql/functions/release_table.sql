create or replace function pgstream.release_table(relation oid, deadline timestamptz) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
  if pgstream.is_published(relation) then
    perform pgstream.alter_publication('drop', relation, deadline);
  end if;
  perform pgstream.give_identity_back(relation, false, deadline);
end
$$;
comment on function pgstream.release_table(oid, timestamptz) is 'Private. Takes a table, that may be gone, out of the '
  'publication and gives its identity back.';

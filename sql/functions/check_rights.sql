create or replace function pgstream.check_rights(relation oid) returns void
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
declare
  dba oid := (select p.pubowner from pg_publication p where p.pubname = 'pgstream');
  foreign_table record;
begin
  if dba is not null and not pg_has_role(current_user, dba, 'USAGE') then
    perform pgstream.refuse('pgstream_not_dba', format('%I is not a member of %I', current_user, pg_get_userbyid(dba)),
      'That role owns publication pgstream, and adding a table needs the rights of both owners.',
      format('GRANT %I TO %I; (the member must inherit)', pg_get_userbyid(dba), current_user), '42501');
  end if;
  select pgstream.relation_name(c.oid) as name, pg_get_userbyid(c.relowner) as owner into foreign_table
  from pgstream.relation_tree(relation) as tree (oid) join pg_class c on c.oid = tree.oid
  where not pg_has_role(current_user, c.relowner, 'USAGE')
  limit 1;
  if found then
    perform pgstream.refuse('pgstream_not_owner', format('%I does not own table %s', current_user, foreign_table.name),
      'What a table sends out is decided by its owner.',
      format('Write the row as %I, or as a member of it that inherits.', foreign_table.owner), '42501');
  end if;
end
$$;
comment on function pgstream.check_rights(oid) is 'Private. Refuses who does not own the table, or is no member of '
  'the publication''s owner.';

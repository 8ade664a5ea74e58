create or replace function pgstream.warn_relay_needs(relation oid) returns void
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
declare
  problems text;
  remedies text;
begin
  select string_agg(n.problem, '; '), string_agg(n.remedy, ' ') into problems, remedies
  from pgstream.relay_needs(relation) as n;
  if problems is not null then
    raise warning using
      errcode = '01000', constraint = 'pgstream_relay_select',
      message = format('the relay can''t take a snapshot of %s yet: %s', pgstream.relation_name(relation), problems),
      detail = 'Without it the snapshot fails when its turn comes. The stream of changes needs no such right.',
      hint = remedies;
  end if;
end
$$;
comment on function pgstream.warn_relay_needs(oid) is 'Private. Warns where the relay''s role may not read a table, '
  'with the GRANT as hint.';

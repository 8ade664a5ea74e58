create or replace function pgstream.relay_roles() returns setof pg_roles
language sql stable
set search_path = pg_catalog, pg_temp
as $$
  select r.*
  from pg_class c cross join aclexplode(c.relacl) a join pg_roles r on r.oid = a.grantee
  where c.oid = 'pgstream.relay_state'::regclass and a.privilege_type = 'UPDATE' and a.grantee <> c.relowner
$$;
comment on function pgstream.relay_roles() is 'Private. The roles that an install named as the relay''s.';

-- The relay reads partition by partition, so it needs SELECT on each.
create or replace function pgstream.relay_needs(relation oid, out problem text, out remedy text) returns setof record
language sql stable
set search_path = pg_catalog, pg_temp
as $$
  with members as (
    select c.oid, n.oid as schema_oid, n.nspname, c.relowner, c.relrowsecurity, c.relforcerowsecurity,
      format('%I.%I', n.nspname, c.relname) as name
    from pgstream.relation_tree(relation) as tree (oid)
    join pg_class c on c.oid = tree.oid join pg_namespace n on n.oid = c.relnamespace
  )
  select format('role %I has no USAGE on schema %I', r.rolname, m.nspname),
    format('GRANT USAGE ON SCHEMA %I TO %I;', m.nspname, r.rolname)
  from pgstream.relay_roles() r cross join members m
  where not has_schema_privilege(r.oid, m.schema_oid, 'USAGE')
  group by r.rolname, m.nspname
  union all
  select format('role %I may not read %s', r.rolname, min(m.name)
      || case when count(*) > 1 then format(' and %s partitions', count(*) - 1) else '' end),
    format('GRANT SELECT ON %s TO %I;', string_agg(m.name, ', ' order by m.name), r.rolname)
  from pgstream.relay_roles() r cross join members m
  where not has_table_privilege(r.oid, m.oid, 'SELECT')
  group by r.rolname
  union all
  select format('row-level security hides rows of %s from role %I', min(m.name), r.rolname),
    format('ALTER ROLE %I BYPASSRLS;', r.rolname)
  from pgstream.relay_roles() r cross join members m
  where m.relrowsecurity and not r.rolsuper and not r.rolbypassrls
    and (m.relforcerowsecurity or not pg_has_role(r.oid, m.relowner, 'USAGE'))
  group by r.rolname
$$;
comment on function pgstream.relay_needs(oid) is 'Private. What the relay''s role lacks to take a snapshot of a table, '
  'and the statement that gives it.';

-- What `pgstream install` needs of the role that runs it; once the schema is there, other rights count.
select finding.*
from pg_roles as me
cross join lateral (
    select 'rights-schema' as id,
           'error' as severity,
           format('role %I may not create a schema in database %I', me.rolname, current_database()) as what,
           format('GRANT CREATE ON DATABASE %I TO %I', current_database(), me.rolname) as hint
    where not has_database_privilege(current_database(), 'CREATE')
    union all
    select 'rights-roles',
           'warning',
           format('role %I may not create roles', me.rolname),
           format('ALTER ROLE %I CREATEROLE, or name an existing role by pgstream install --owner', me.rolname)
    where not me.rolsuper and not me.rolcreaterole
    union all
    select 'rights-replication',
           'warning',
           format('role %I has no REPLICATION, so pgstream install can''t create the slot', me.rolname),
           format('ALTER ROLE %I REPLICATION, or install as another role', me.rolname)
    where not me.rolsuper and not me.rolreplication
      and not exists (select from pg_roles as managed
                      where managed.rolname = 'rds_replication' and pg_has_role(me.oid, managed.oid, 'MEMBER'))
) as finding
where me.rolname = current_user and to_regnamespace('pgstream') is null;

-- The relay's role is the one that may write pgstream.relay_state, and it needs REPLICATION (or a managed server's stand-in).
select 'relay-role-replication' as id,
       'error' as severity,
       format('the relay''s role %I has no REPLICATION', relay.rolname) as what,
       format('ALTER ROLE %I REPLICATION (Amazon RDS: GRANT rds_replication TO %I)', relay.rolname, relay.rolname) as hint
from pg_class as kept
join pg_namespace as home on home.oid = kept.relnamespace and home.nspname = 'pgstream'
cross join lateral aclexplode(kept.relacl) as granted
join pg_roles as relay on relay.oid = granted.grantee
where kept.relname = 'relay_state'
  and granted.privilege_type = 'UPDATE'
  and granted.grantee <> kept.relowner
  and not relay.rolsuper and not relay.rolreplication
  and not exists (select from pg_roles as managed
                  where managed.rolname = 'rds_replication' and pg_has_role(relay.oid, managed.oid, 'MEMBER'))
union all
select 'relay-role-login',
       'error',
       format('the relay''s role %I may not log in', relay.rolname),
       format('ALTER ROLE %I LOGIN', relay.rolname)
from pg_class as kept
join pg_namespace as home on home.oid = kept.relnamespace and home.nspname = 'pgstream'
cross join lateral aclexplode(kept.relacl) as granted
join pg_roles as relay on relay.oid = granted.grantee
where kept.relname = 'relay_state'
  and granted.privilege_type = 'UPDATE'
  and granted.grantee <> kept.relowner
  and not relay.rolcanlogin;

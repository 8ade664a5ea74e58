-- Publication pgstream: the control tables, then whatever the DBAs add. Made before the slot.
do $$
declare
  found_publication pg_publication;
  control_table text;
begin
  select * into found_publication from pg_publication p where p.pubname = 'pgstream';
  if not found then
    create publication pgstream with (publish = 'insert, update, delete, truncate', publish_via_partition_root = true);
  elsif obj_description(found_publication.oid, 'pg_publication') not like 'pgstream:%' is not false then
    raise exception using
      errcode = 'duplicate_object', constraint = 'pgstream_publication_not_ours',
      message = 'publication "pgstream" exists and is not ours',
      detail = 'It lacks our COMMENT, so somebody else made it.',
      hint = 'ALTER PUBLICATION pgstream RENAME TO …, then install again.';
  elsif not (found_publication.pubinsert and found_publication.pubupdate and found_publication.pubdelete
    and found_publication.pubtruncate and found_publication.pubviaroot)
  then
    alter publication pgstream
      set (publish = 'insert, update, delete, truncate', publish_via_partition_root = true);
  end if;

  foreach control_table in array array['settings', 'signals', 'streams', 'tables'] loop
    if not pgstream.is_published(format('pgstream.%I', control_table)::regclass) then
      execute format('alter publication pgstream add table only pgstream.%I', control_table);
    end if;
  end loop;
  comment on publication pgstream is 'pgstream: the tables of pgstream.tables, and pgstream''s control tables. Let '
    'pgstream alone change it.';
end
$$;

do $$
declare
  present_owner text := (select pg_get_userbyid(p.pubowner) from pg_publication p where p.pubname = 'pgstream');
  named text := nullif(current_setting('pgstream.owner_role', true), '');
  next_owner text := coalesce(named, nullif(present_owner, current_user), 'pgstream_dba');
  superuser constant boolean := (select r.rolsuper from pg_roles r where r.rolname = current_user);
  lend_create boolean;
begin
  if next_owner = present_owner or not exists (
    select from pg_roles r where r.rolname = next_owner and pg_has_role(current_user, r.oid, 'USAGE'))
  then
    return;  -- owner_role.sql has said why
  end if;
  -- An owner of a publication needs CREATE on the database at the moment it becomes owner, and never again.
  lend_create := not superuser and not has_database_privilege(next_owner, current_database(), 'CREATE');
  if lend_create then
    if not pg_has_role(current_user, (select d.datdba from pg_database d where d.datname = current_database()), 'USAGE')
    then
      raise exception using
        errcode = 'insufficient_privilege', constraint = 'pgstream_database_owner',
        message = format('%I can''t make publication pgstream over to role %I', current_user, next_owner),
        detail = 'The new owner needs CREATE on the database at that moment; only the database''s owner can lend it.',
        hint = format('Install as the owner of the database, or run: GRANT CREATE ON DATABASE %I TO %I;',
          current_database(), next_owner);
    end if;
    execute format('grant create on database %I to %I', current_database(), next_owner);
  end if;
  execute format('alter publication pgstream owner to %I', next_owner);
  if lend_create then
    execute format('revoke create on database %I from %I', current_database(), next_owner);
  end if;
  if present_owner <> current_user then
    execute format('revoke all on all tables in schema pgstream from %I', present_owner);
    execute format('revoke all on all functions in schema pgstream from %I', present_owner);
    execute format('revoke all on schema pgstream from %I', present_owner);
  end if;
end
$$;

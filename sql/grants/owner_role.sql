-- The role whose members may write pgstream.tables. It owns the publication and nothing else: were it the owner of a
-- function, one member could plant code that runs as the next member, or as a superuser.
-- pgstream.owner_role names it; else it is the publication's present owner, else pgstream_dba.
-- Without the rights to make it, a role that was named is an error; else the publication stays with who installs.
do $$
declare
  named constant text := nullif(current_setting('pgstream.owner_role', true), '');
  owner_role constant text := coalesce(named,
    (select pg_get_userbyid(p.pubowner) from pg_publication p where p.pubname = 'pgstream'), 'pgstream_dba');
  knows_set constant boolean := current_setting('server_version_num')::integer >= 160000;
begin
  if not exists (select from pg_roles r where r.rolname = owner_role) then
    begin
      execute format('create role %I nologin', owner_role);
      execute format('comment on role %I is %L', owner_role,
        'pgstream: members who own a table may stream it. Owns publication pgstream, and nothing else.');
    exception when duplicate_object or unique_violation then
      null;  -- an install in another database of this server was first
    end;
  end if;
  -- To hand a publication over, and to extend it in a later version, who installs must be a member.
  if not pg_has_role(current_user, owner_role, case when knows_set then 'SET' else 'MEMBER' end)
    or not pg_has_role(current_user, owner_role, 'USAGE')
  then
    execute format('grant %I to %I', owner_role, current_user)
      || case when knows_set then ' with set true, inherit true' else '' end;
  end if;
exception when insufficient_privilege then
  if named is not null then
    raise exception using
      errcode = 'insufficient_privilege', constraint = 'pgstream_owner_role',
      message = format('%I can''t make publication pgstream over to role %I', current_user, owner_role),
      detail = format('It may not create that role, or make itself a member (%s).', sqlerrm),
      hint = format('Let somebody who may run: CREATE ROLE %I NOLOGIN; GRANT %1$I TO %I;', owner_role, current_user);
  end if;
  raise warning using
    message = format('publication pgstream stays with %I, because it may not make role %I', current_user, owner_role),
    detail = 'Only members of the publication''s owner can add tables that they own.',
    hint = format('Let somebody who may run: CREATE ROLE %I NOLOGIN; GRANT %1$I TO %I; then install again.',
      owner_role, current_user);
end
$$;

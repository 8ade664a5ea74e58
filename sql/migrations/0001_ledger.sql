-- The ledger of migrations records itself first: every later file asks it whether it has been applied.
do $migration$
begin
  if to_regclass('pgstream.migrations') is not null then
    return;
  end if;
  create schema pgstream;
  comment on schema pgstream is 'Control schema of pgstream: changes of this database, live in NATS.';

  create table pgstream.migrations (
    id integer primary key,
    name text not null,
    applied_at timestamptz not null default now(),
    applied_by text not null default current_user
  );
  comment on table pgstream.migrations is 'The migrations of schema pgstream that were applied, one a row. Written by '
    'the install alone.';
  comment on column pgstream.migrations.id is 'Number of the file in migrations/.';
  comment on column pgstream.migrations.name is 'Name of the file in migrations/, without number and ending.';
  comment on column pgstream.migrations.applied_at is 'Start of the transaction that applied it.';
  comment on column pgstream.migrations.applied_by is 'The role that applied it.';

  insert into pgstream.migrations (id, name) values (1, 'ledger');
end
$migration$;

-- An older install would put its older functions over newer tables.
do $migration$
declare
  newest_known constant integer := 6;
  newest_applied integer := (select max(id) from pgstream.migrations);
begin
  if newest_applied > newest_known then
    raise exception using
      errcode = 'object_not_in_prerequisite_state',
      constraint = 'pgstream_schema_is_newer',
      message = format('schema pgstream is newer (migration %s) than this install (migration %s)',
        newest_applied, newest_known),
      detail = 'Installing would replace its functions by older ones. Nothing was changed.',
      hint = 'Install with the version that made the schema, or a newer one. Older relays go on working with it.';
  end if;
end
$migration$;

-- What the triggers remember for themselves. Written through functions that check what they are told.
do $migration$
begin
  if exists (select from pgstream.migrations where id = 3) then
    return;
  end if;

  create table pgstream.former_identities (
    table_oid oid primary key,
    root_oid oid not null,
    table_schema text not null,
    table_name text not null,
    identity "char" not null,
    index_name text,
    remembered_at timestamptz not null default now()
  );

  create table pgstream.latest_change (
    one_row boolean not null default true primary key check (one_row),
    transaction_id xid8
  );
  insert into pgstream.latest_change default values;

  insert into pgstream.migrations (id, name) values (3, 'private_tables');
end
$migration$;

comment on table pgstream.former_identities is 'Private. Replica identity that each table and partition had before '
  'pgstream made it full.';
comment on column pgstream.former_identities.table_oid is 'The table or partition.';
comment on column pgstream.former_identities.root_oid is 'The streamed table: itself, or the root of the partitions.';
comment on column pgstream.former_identities.table_schema is 'Its schema at that time: finds it again after a dump '
  'and restore.';
comment on column pgstream.former_identities.table_name is 'Its name at that time.';
comment on column pgstream.former_identities.identity is 'pg_class.relreplident: d default, i index, n nothing.';
comment on column pgstream.former_identities.index_name is 'Name of the index where identity is i.';
comment on column pgstream.former_identities.remembered_at is 'When it was made full.';

comment on table pgstream.latest_change is 'Private. One row that each change of subjects updates first, so that two '
  'such changes take turns.';
comment on column pgstream.latest_change.one_row is 'Always true: keeps the table at one row.';
comment on column pgstream.latest_change.transaction_id is 'The transaction of the latest one.';

-- What a DBA writes. These three tables are in publication pgstream, so the relay reads them in commit order with the
-- data; REPLICA IDENTITY FULL, because an UPDATE leaves out TOASTed values that it did not touch.
-- Values are judged by triggers, not by CHECK: only those can say in a HINT how to mend them.
do $migration$
begin
  if exists (select from pgstream.migrations where id = 2) then
    return;
  end if;

  create table pgstream.settings (
    one_row boolean not null default true constraint settings_has_one_row_update_it primary key
      constraint settings_one_row check (one_row),
    database text,
    mode text not null default 'persistent',
    subject text not null default '{database}.{schema}.{table}.{operation}',
    stream text,
    replica_identity text not null default 'full',
    numbers text not null default 'json',
    message_prefixes text[] not null default '{}',
    slot_name text not null,
    database_at_install text not null,
    database_oid oid not null,
    updated_by text not null,
    updated_at timestamptz not null
  );
  alter table pgstream.settings replica identity full;

  create table pgstream.streams (
    name text primary key,
    storage text not null default 'file',
    replicas integer,
    max_age interval default '7 days',
    max_bytes bigint,
    discard text not null default 'old',
    duplicate_window interval not null default '2 minutes',
    updated_by text not null,
    updated_at timestamptz not null
  );
  alter table pgstream.streams replica identity full;

  create table pgstream.tables (
    table_schema text not null default 'public',
    table_name text not null,
    enabled boolean not null default true,
    mode text,
    operations text[] not null default '{insert,update,delete,truncate,snapshot}',
    subject text,
    event_subjects jsonb,
    stream text,
    columns text[],
    excluded_columns text[],
    row_filter text,
    key_columns text[],
    replica_identity text,
    numbers text,
    initial_snapshot boolean not null default false,
    relid oid not null,
    updated_by text not null,
    updated_at timestamptz not null,
    primary key (table_schema, table_name)
  );
  alter table pgstream.tables replica identity full;

  insert into pgstream.migrations (id, name) values (2, 'control_tables');
end
$migration$;

comment on table pgstream.settings is 'Settings of this database''s stream, one row: UPDATE it. A change takes effect '
  'with the transactions that commit after it.';
comment on column pgstream.settings.one_row is 'Always true: keeps the table at one row.';
comment on column pgstream.settings.database is 'Alias of the database in events, subjects and stream names. Null: '
  'its name when pgstream was installed; a later ALTER DATABASE … RENAME does not change it.';
comment on column pgstream.settings.mode is 'persistent (NATS JetStream) or ephemeral (plain NATS publish), of tables '
  'that name none.';
comment on column pgstream.settings.subject is 'Subject template of tables that name none. Placeholders: {database}, '
  '{schema}, {table}, {operation}.';
comment on column pgstream.settings.stream is 'JetStream stream of tables that name none. Null: PGSTREAM_ and the '
  'alias, escaped.';
comment on column pgstream.settings.replica_identity is 'full or keep, of tables that name none. A change is carried '
  'out at once on those tables.';
comment on column pgstream.settings.numbers is 'json or text (numeric and bigint as JSON strings), of tables that '
  'name none.';
comment on column pgstream.settings.message_prefixes is 'Prefixes of transactional logical messages '
  '(pg_logical_emit_message) to publish.';
comment on column pgstream.settings.slot_name is 'The replication slot. Filled in by the install.';
comment on column pgstream.settings.database_at_install is 'Name of the database when pgstream was installed. Filled '
  'in by the install.';
comment on column pgstream.settings.database_oid is 'Oid of the database these settings were made for: a copy of it '
  'is told apart by this. Filled in by the install.';
comment on column pgstream.settings.updated_by is 'The role that wrote the row last. Filled in.';
comment on column pgstream.settings.updated_at is 'When the row was written last. Filled in.';

comment on table pgstream.streams is 'JetStream streams that pgstream keeps as described here. A stream without a row '
  'is used as it is, and never altered.';
comment on column pgstream.streams.name is 'Name of the JetStream stream.';
comment on column pgstream.streams.storage is 'file or memory.';
comment on column pgstream.streams.replicas is '1 to 5; null = 3 in a NATS cluster of three or more servers, else 1.';
comment on column pgstream.streams.max_age is 'How long an event is kept; null = for ever. Not below duplicate_window.';
comment on column pgstream.streams.max_bytes is 'Size at which the discard policy sets in; null = no limit.';
comment on column pgstream.streams.discard is 'When full: old removes the oldest events, new refuses new ones (the '
  'stream then stalls until there is room).';
comment on column pgstream.streams.duplicate_window is 'How long JetStream remembers message ids.';
comment on column pgstream.streams.updated_by is 'The role that wrote the row last. Filled in.';
comment on column pgstream.streams.updated_at is 'When the row was written last. Filled in.';

comment on table pgstream.tables is 'The streamed tables, one a row: insert, update, delete at will. Written by an '
  'owner of the table who is a member of the publication''s owner role.';
comment on column pgstream.tables.table_schema is 'Schema of the table.';
comment on column pgstream.tables.table_name is 'Name of the table; of a partitioned table, its root.';
comment on column pgstream.tables.enabled is 'False stops the table without forgetting its settings. Its replica '
  'identity stays as it is until the row is deleted.';
comment on column pgstream.tables.mode is 'persistent, ephemeral, or null = settings.mode.';
comment on column pgstream.tables.operations is 'What is published: insert, update, delete, truncate, snapshot.';
comment on column pgstream.tables.subject is 'Subject template, or a fixed subject. Null = settings.subject.';
comment on column pgstream.tables.event_subjects is 'Object of operation (also unknown) to subject template; goes '
  'before subject.';
comment on column pgstream.tables.stream is 'JetStream stream. Null = settings.stream.';
comment on column pgstream.tables.columns is 'Not available yet in this version: the only columns to stream.';
comment on column pgstream.tables.excluded_columns is 'Not available yet in this version: columns that never leave '
  'the database.';
comment on column pgstream.tables.row_filter is 'Not available yet in this version: SQL expression that streamed rows '
  'satisfy.';
comment on column pgstream.tables.key_columns is 'Columns of the event''s key. Null = primary key, else the index of '
  'the replica identity.';
comment on column pgstream.tables.replica_identity is 'full (events have before and diff), keep (touch nothing), or '
  'null = settings.replica_identity. The former identity comes back when the row is deleted or says keep.';
comment on column pgstream.tables.numbers is 'json, text, or null = settings.numbers.';
comment on column pgstream.tables.initial_snapshot is 'True at INSERT: an incremental snapshot starts by itself. '
  'UPDATE starts none: INSERT INTO pgstream.signals does.';
comment on column pgstream.tables.relid is 'Oid of the table: the settings belong to it, whatever its name becomes. '
  'Filled in.';
comment on column pgstream.tables.updated_by is 'The role that wrote the row last. Filled in.';
comment on column pgstream.tables.updated_at is 'When the row was written last. Filled in.';

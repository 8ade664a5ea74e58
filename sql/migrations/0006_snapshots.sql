-- Signals are a control table: in publication pgstream, so that the relay meets them in commit order with the data.
-- Snapshots are not: after the pending row they are the relay's notes.
do $migration$
begin
  if exists (select from pgstream.migrations where id = 6) then
    return;
  end if;

  create table pgstream.signals (
    id bigint generated always as identity primary key,
    type text not null constraint signals_type check (type in (
      'incremental-snapshot', 'full-snapshot', 'pause-snapshot', 'resume-snapshot', 'stop-snapshot')),
    tables text[],
    options jsonb not null default '{}',
    requested_by text not null,
    requested_at timestamptz not null,
    relids oid[]
  );
  alter table pgstream.signals replica identity full;

  create table pgstream.snapshots (
    id bigint generated always as identity primary key,
    signal_id bigint not null,
    table_schema text not null,
    table_name text not null,
    method text not null constraint snapshots_method check (method in ('incremental', 'full')),
    state text not null default 'pending' constraint snapshots_state check (state in (
      'pending', 'running', 'paused', 'completed', 'stopped', 'failed')),
    blocks_total bigint constraint snapshots_blocks_total check (blocks_total >= 0),
    blocks_done bigint not null default 0 constraint snapshots_blocks_done check (blocks_done >= 0),
    rows_done bigint not null default 0 constraint snapshots_rows_done check (rows_done >= 0),
    started_at timestamptz,
    updated_at timestamptz not null default now(),
    finished_at timestamptz,
    error text,
    hint text,
    relid oid not null,
    row_filter text,
    row_shape text,
    block_count integer,
    command_id bigint not null default 0,
    position jsonb,
    running_time interval not null default '0'
  );
  create index snapshots_open on pgstream.snapshots (relid, id) where state in ('pending', 'running', 'paused');
  create index snapshots_signal on pgstream.snapshots (signal_id);

  insert into pgstream.migrations (id, name) values (6, 'snapshots');
end
$migration$;

comment on table pgstream.signals is 'INSERT a row to start, pause, resume or stop snapshots. Rows are history and are '
  'never changed. Written by an owner of each table who is a member of the publication''s owner role.';
comment on column pgstream.signals.id is 'Number of the signal.';
comment on column pgstream.signals.type is 'incremental-snapshot, full-snapshot (one consistent point; the database''s '
  'events wait meanwhile), pause-snapshot, resume-snapshot, stop-snapshot.';
comment on column pgstream.signals.tables is 'Names such as {public.orders}, as SQL quotes them; without a schema, '
  'public. Null = all enabled tables; for pause, resume and stop: all snapshots under way.';
comment on column pgstream.signals.options is 'Object, of snapshots: row_filter (SQL expression, only these rows), '
  'block_count (heap blocks read at once, 1 to 1000000).';
comment on column pgstream.signals.requested_by is 'The role that inserted the row. Filled in.';
comment on column pgstream.signals.requested_at is 'When the transaction that inserted it began. Filled in.';
comment on column pgstream.signals.relids is 'Private. Oids of the tables that are named. Filled in.';

comment on table pgstream.snapshots is 'The snapshots, one row a table. Written by the signal, then by the relay. '
  'View pgstream.snapshot_progress has percent and remaining time, too.';
comment on column pgstream.snapshots.id is 'Number of the snapshot: header Pgstream-Snapshot of its events.';
comment on column pgstream.snapshots.signal_id is 'pgstream.signals.id.';
comment on column pgstream.snapshots.table_schema is 'Schema of the table.';
comment on column pgstream.snapshots.table_name is 'Name of the table; of a partitioned table, its root.';
comment on column pgstream.snapshots.method is 'incremental or full.';
comment on column pgstream.snapshots.state is 'pending (waits for the relay, or its turn), running, paused, completed, '
  'stopped, failed.';
comment on column pgstream.snapshots.blocks_total is 'Heap blocks to read; null = not begun.';
comment on column pgstream.snapshots.blocks_done is 'Heap blocks whose rows are all in NATS.';
comment on column pgstream.snapshots.rows_done is 'Rows that are in NATS.';
comment on column pgstream.snapshots.started_at is 'When the relay began.';
comment on column pgstream.snapshots.updated_at is 'When the row was written last.';
comment on column pgstream.snapshots.finished_at is 'When it was completed, stopped or failed.';
comment on column pgstream.snapshots.error is 'What went wrong, or what it waits for.';
comment on column pgstream.snapshots.hint is 'What to do about that.';
comment on column pgstream.snapshots.relid is 'Private. Oid of the table. Filled in.';
comment on column pgstream.snapshots.row_filter is 'Private. The signal''s row_filter as Postgres prints it: one '
  'expression of built-in immutable functions. To be used through pgstream.snapshot_filter() alone.';
comment on column pgstream.snapshots.row_shape is 'Private. Columns and types for which row_filter was proved.';
comment on column pgstream.snapshots.block_count is 'Private. Heap blocks a chunk; null = the relay chooses.';
comment on column pgstream.snapshots.command_id is 'Private to the relay. The last signal (pause, resume, stop) that '
  'it carried out; 0 = none.';
comment on column pgstream.snapshots.position is 'Private to the relay. Where it goes on; null = nothing read yet.';
comment on column pgstream.snapshots.running_time is 'Private. Time spent running, without pauses. Filled in.';

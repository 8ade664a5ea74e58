create or replace view pgstream.snapshot_progress as
  select s.id, s.signal_id, s.table_schema, s.table_name, s.method, s.state, s.blocks_total, s.blocks_done, s.rows_done,
    s.started_at, s.updated_at, s.finished_at, s.error, s.hint,
    case s.state
      when 'pending' then null
      when 'completed' then 100
      else least(99.9, pg_catalog.round(100.0 * s.blocks_done / greatest(s.blocks_total, 1), 1))
    end as percent,
    case s.state
      when 'completed' then interval '0'
      when 'running' then pg_catalog.date_trunc('second', s.running_time
        * (greatest(s.blocks_total - s.blocks_done, 0) / nullif(s.blocks_done, 0)::double precision))
    end as remaining
  from pgstream.snapshots s;
comment on view pgstream.snapshot_progress is 'The snapshots, one row a table, with how far they are.';
comment on column pgstream.snapshot_progress.id is 'Number of the snapshot: header Pgstream-Snapshot of its events.';
comment on column pgstream.snapshot_progress.signal_id is 'pgstream.signals.id.';
comment on column pgstream.snapshot_progress.table_schema is 'Schema of the table.';
comment on column pgstream.snapshot_progress.table_name is 'Name of the table.';
comment on column pgstream.snapshot_progress.method is 'incremental or full.';
comment on column pgstream.snapshot_progress.state is 'pending, running, paused, completed, stopped, failed.';
comment on column pgstream.snapshot_progress.blocks_total is 'Heap blocks to read; null = not begun.';
comment on column pgstream.snapshot_progress.blocks_done is 'Heap blocks whose rows are all in NATS.';
comment on column pgstream.snapshot_progress.rows_done is 'Rows that are in NATS.';
comment on column pgstream.snapshot_progress.started_at is 'When the relay began.';
comment on column pgstream.snapshot_progress.updated_at is 'When it was last heard of.';
comment on column pgstream.snapshot_progress.finished_at is 'When it was completed, stopped or failed.';
comment on column pgstream.snapshot_progress.error is 'What went wrong, or what it waits for.';
comment on column pgstream.snapshot_progress.hint is 'What to do about that.';
comment on column pgstream.snapshot_progress.percent is 'Part of the blocks that is done; null while pending, 100 only '
  'when completed.';
comment on column pgstream.snapshot_progress.remaining is 'Time to the end at the rate so far, pauses left out; null '
  'while it can''t be told.';

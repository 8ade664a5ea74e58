create or replace function pgstream.refuse_signals_change() returns trigger
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
  perform pgstream.refuse('pgstream_signals_history', format('%s of pgstream.signals is refused', tg_op),
    'Rows are history and are never changed: the relay may have acted on them.',
    'INSERT another signal, such as pause-snapshot, resume-snapshot or stop-snapshot.', '0A000');
  return null;
end
$$;
comment on function pgstream.refuse_signals_change() is 'Private. Trigger function: refuses UPDATE, DELETE and '
  'TRUNCATE of the signals.';

create or replace trigger snapshots_clock before update on pgstream.snapshots
  for each row execute function pgstream.snapshots_clock();
comment on trigger snapshots_clock on pgstream.snapshots is 'Adds up the time spent running.';

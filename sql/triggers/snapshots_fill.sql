create or replace trigger snapshots_fill before insert on pgstream.snapshots
  for each row execute function pgstream.snapshots_fill();
comment on trigger snapshots_fill on pgstream.snapshots is 'Judges the snapshot, and fills in what is known of its '
  'table.';

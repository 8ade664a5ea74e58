create or replace function pgstream.take_turn(deadline timestamptz) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
  perform pgstream.limit_lock_wait(deadline);
  perform pgstream.begin_change();
exception when lock_not_available then
  perform pgstream.refuse('pgstream_other_change', 'another session is changing pgstream''s tables',
    'It has not committed yet, and two changes at once could get overlapping subjects.',
    'Try again when it has committed.', '55P03');
end
$$;
comment on function pgstream.take_turn(timestamptz) is 'Private. begin_change(), before the deadline.';

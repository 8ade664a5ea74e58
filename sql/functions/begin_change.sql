-- Two changes of subjects, each fine beside what is committed, may overlap one another: so they take turns. An update
-- of one row, once a transaction, so that REPEATABLE READ fails rather than judge by an old snapshot. Runs as its
-- owner, because nobody else is to write that table; it takes nothing that it could be made to misuse.
create or replace function pgstream.begin_change() returns void
language sql volatile security definer
set search_path = pg_catalog, pg_temp
as $$
  update pgstream.latest_change set transaction_id = pg_current_xact_id()
  where transaction_id is distinct from pg_current_xact_id()
$$;
comment on function pgstream.begin_change() is 'Private. Waits for the other change of subjects that has not been '
  'committed yet.';

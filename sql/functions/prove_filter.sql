-- Postgres itself is the judge: what it takes as the row filter of a publication is one boolean expression of built-in
-- immutable functions, operators and types. The trial is rolled back; what stays is the expression as Postgres prints
-- it, never the text that was given. All of it with the rights of who asks.
create or replace function pgstream.prove_filter(relation oid, filter text) returns text
language plpgsql
set search_path = pg_catalog, pg_temp
set lock_timeout = '800ms'
as $$
declare
  named text := pgstream.relation_name(relation);
  trial refcursor;
  proved text;
begin
  perform pgstream.limit_lock_wait(pgstream.lock_deadline());
  begin
    -- A cursor takes one statement: so the parentheses that are opened here are closed here.
    open trial for execute format('select 1 from only %s where (', named) || filter || E'\n)';
    close trial;
    execute format('alter publication pgstream drop table only %s', named);
    execute format('alter publication pgstream add table only %s where (', named) || filter || E'\n)';
    proved := (select pg_get_expr(r.prqual, r.prrelid)
               from pg_publication_rel r join pg_publication p on p.oid = r.prpubid
               where p.pubname = 'pgstream' and r.prrelid = relation);
    raise sqlstate 'PGS01';
  exception
    when sqlstate 'PGS01' then
      null;
    when lock_not_available then
      perform pgstream.refuse('pgstream_other_change', format('publication pgstream, or %s, is locked', named),
        'A change of pgstream.tables that is not committed holds it, or VACUUM or ALTER TABLE.', 'Try again.', '55P03');
    when others then
      perform pgstream.refuse('pgstream_row_filter', format('row_filter can''t be used for %s: %s', named, sqlerrm),
        'It must be one boolean expression over columns of the table, of built-in immutable functions and operators.',
        'Write it as in WHERE, such as: status = ''new'' AND id > 1000.');
  end;
  return proved;
end
$$;
comment on function pgstream.prove_filter(oid, text) is 'Private. The row filter of a signal as Postgres prints it; '
  'refuses what is not one boolean expression of built-in immutable functions.';

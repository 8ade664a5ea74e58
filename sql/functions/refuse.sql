-- Every refusal goes through here: what happened, why it matters, what to do, and a stable id (field CONSTRAINT).
create or replace function pgstream.refuse(
  problem text, message text, detail text, hint text, error_code text default '22023'
) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
  raise exception using
    errcode = refuse.error_code, constraint = refuse.problem,
    message = refuse.message, detail = refuse.detail, hint = refuse.hint;
end
$$;
comment on function pgstream.refuse(text, text, text, text, text) is 'Private. Raises an error with DETAIL, HINT and '
  'a stable id in the field CONSTRAINT.';

create or replace function pgstream.check_available(changed pgstream.tables) returns void
language plpgsql immutable
set search_path = pg_catalog, pg_temp
as $$
declare
  wanted text := case
    when changed.columns is not null then 'columns'
    when changed.excluded_columns is not null then 'excluded_columns'
    when changed.row_filter is not null then 'row_filter' end;
begin
  if wanted is not null then
    perform pgstream.refuse('pgstream_not_available', format('%s is not available yet in this version', wanted),
      'Rather than be ignored, it is refused.', format('Leave %s at its default.', wanted), '0A000');
  end if;
end
$$;
comment on function pgstream.check_available(pgstream.tables) is 'Private. Refuses what a later version brings.';

-- Of one table, or (null) of all: after a change of the settings.
create or replace function pgstream.check_subjects(named_schema text, named_table text) returns void
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
declare
  clash record;
begin
  perform pgstream.check_template(p.place, p.template, pgstream.alias(), p.subject_schema, p.subject_table, p.mode)
  from pgstream.subject_patterns p
  where named_schema is null or (p.table_schema, p.table_name) = (named_schema, named_table);

  with every as materialized (
    select *, pgstream.pattern_regex(p.pattern, true) as overlaps, pgstream.pattern_regex(p.pattern, false) as contains
    from pgstream.subject_patterns p
  )
  select a.table_schema, a.table_name, a.pattern, b.table_schema as other_schema, b.table_name as other_table,
    b.pattern as other_pattern, b.mode as other_mode, b.stream as other_stream, a.mode, a.stream into clash
  from every a join every b on b.pattern ~ a.overlaps
  where (named_schema is null or (a.table_schema, a.table_name) = (named_schema, named_table))
    and case when (a.table_schema, a.table_name) = (b.table_schema, b.table_name)
             then a.mode = 'persistent' and a.pattern <> b.pattern else true end
    and not (a.mode = 'persistent' and b.mode = 'persistent' and a.stream = b.stream
      and (b.pattern ~ a.contains or a.pattern ~ b.contains))
  limit 1;
  if found then
    perform pgstream.refuse('pgstream_subjects_overlap',
      format('subjects overlap: %s of %I.%I and %s of %I.%I', clash.pattern, clash.table_schema, clash.table_name,
        clash.other_pattern, clash.other_schema, clash.other_table),
      format('The one is %s, the other %s. Two tables may share subjects only if both are persistent, in one stream, '
        'and one pattern contains the other; else events would fall into the wrong stream, or NATS would refuse it.',
        concat_ws(' in stream ', clash.mode, clash.stream), concat_ws(' in stream ', clash.other_mode,
          clash.other_stream)),
      'Change subject or event_subjects of one of them so that a token differs, or set the same mode and stream.',
        '23P01');
  end if;
end
$$;
comment on function pgstream.check_subjects(text, text) is 'Private. Refuses subjects of a table (null: of all) that '
  'are illegal, or overlap with another''s.';

-- `named` are the tables to check, as quoted names; null = all, after a change of the settings.
-- Of patterns with wildcards in the same places, only equal ones overlap: that is one hash join, however many tables.
create or replace function pgstream.check_subjects(named text[]) returns void
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
declare
  every constant pgstream.subject_patterns[] := array(select p from pgstream.subject_patterns p);
  clash record;
begin
  perform pgstream.check_template(p.place, p.template, pgstream.alias(), p.subject_schema, p.subject_table, p.mode)
  from unnest(every) as p
  where named is null or format('%I.%I', p.table_schema, p.table_name) = any (named);

  with patterns as materialized (
    select p.*, format('%I.%I', p.table_schema, p.table_name) as name,
      regexp_replace(p.pattern, '[^.*]+', 'x', 'g') as shape
    from unnest(every) as p
  ), checked as materialized (
    select p.*, pgstream.pattern_regex(p.pattern, true) as overlaps
    from patterns p where named is null or p.name = any (named)
  ), overlapping as (
    select a as one, b as other, true as contained from checked a join patterns b on b.pattern = a.pattern
    union all
    select a, b, b.pattern ~ pgstream.pattern_regex(a.pattern, false)
      or a.pattern ~ pgstream.pattern_regex(b.pattern, false)
    from checked a join patterns b on b.shape <> a.shape and b.pattern ~ a.overlaps
  )
  select (o.one).name, (o.one).pattern, concat_ws(' in stream ', (o.one).mode, (o.one).stream) as goes_to,
    (o.other).name as other_name, (o.other).pattern as other_pattern,
    concat_ws(' in stream ', (o.other).mode, (o.other).stream) as other_goes_to into clash
  from overlapping o
  where case when (o.one).name = (o.other).name
             then (o.one).mode = 'persistent' and (o.one).pattern <> (o.other).pattern else true end
    and not ((o.one).mode = 'persistent' and (o.other).mode = 'persistent' and (o.one).stream = (o.other).stream
      and o.contained)
  limit 1;
  if found then
    perform pgstream.refuse('pgstream_subjects_overlap',
      format('subjects overlap: %s of %s and %s of %s', clash.pattern, clash.name, clash.other_pattern,
        clash.other_name),
      format('The one is %s, the other %s. Two tables may share subjects only if both are persistent, in one stream, '
        'and one pattern contains the other; else events would fall into the wrong stream, or NATS would refuse it.',
        clash.goes_to, clash.other_goes_to),
      'Change subject or event_subjects of one of them so that a token differs, or set the same mode and stream.',
      '23P01');
  end if;
end
$$;
comment on function pgstream.check_subjects(text[]) is 'Private. Refuses subjects of the named tables (null: of all) '
  'that are illegal, or overlap with another''s.';

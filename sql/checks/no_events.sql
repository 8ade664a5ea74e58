-- needs: pgstream.tables
-- What the stream can't tell, said once.
select 'no-events' as id,
       'info' as severity,
       'there are no events for DDL, for ATTACH, DETACH, DROP or TRUNCATE of a single partition, for a changed filter, '
           'or for the time in which a table was disabled' as what,
       'take a snapshot of the table after one of these' as hint
where exists (select from pgstream.tables);

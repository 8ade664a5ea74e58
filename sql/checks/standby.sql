-- The control schema is written to, so it lives on the primary.
select 'standby' as id,
       'error' as severity,
       'this server is a standby (in recovery): nothing can be installed or streamed from here' as what,
       'name the primary in the DSN, or several hosts with target_session_attrs=read-write' as hint
where pg_is_in_recovery();

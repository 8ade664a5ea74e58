do $$
begin
  perform pgstream.prepare_database();
  -- The session's turn, see begin.sql; within one transaction the other lock lasts until it commits.
  perform pg_catalog.pg_advisory_unlock(pg_catalog.hashtextextended('pgstream install', 0));
end
$$;

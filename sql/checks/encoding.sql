-- Events are UTF-8.
select 'encoding' as id,
       'warning' as severity,
       'the database''s encoding is SQL_ASCII: bytes that are not UTF-8 can''t be sent, and their rows become unknown events'
           as what,
       'keep UTF-8 in it, or move to a database with ENCODING ''UTF8''' as hint
where current_setting('server_encoding') = 'SQL_ASCII';

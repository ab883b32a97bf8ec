-- History: a page of the event stream behind an id, for somebody who resumes it. O(log events) and the page.
-- uses: Keys
-- ARGV 1 id behind which to begin, 2 most entries
-- returns {id, {field, value, …}, …}
local rows = {}
for _, entry in ipairs(call('XRANGE', P .. 'events', '(' .. ARGV[1], '+', 'COUNT', ARGV[2])) do
  rows[#rows + 1] = entry[1]
  rows[#rows + 1] = entry[2]
end
return rows

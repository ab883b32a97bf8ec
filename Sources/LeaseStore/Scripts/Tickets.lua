-- Tickets: the terms of some waiting tickets, for a coordinator's own copy. ARGV: tickets.
-- uses: Keys
-- returns {ticket, holder, caller, coordinator, priority, selector, score, ttl, metadata, grace, …}; those that wait no more are left out
local rows = {}
for _, ticket in ipairs(ARGV) do
  local row = call('HMGET', P .. 'ticket:' .. ticket, 'holder', 'caller', 'coordinator', 'priority', 'selector', 'score',
    'ttl', 'metadata', 'grace', 'lease')
  if row[1] and (not row[10] or row[10] == '') then
    rows[#rows + 1] = ticket
    for i = 1, 9 do rows[#rows + 1] = row[i] or '' end
  end
end
return rows

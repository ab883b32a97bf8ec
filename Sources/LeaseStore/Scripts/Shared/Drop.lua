-- Drop: the tickets of a coordinator that is gone (design §4.7), a bounded number a call. True when none is left.
-- uses: Keys Clock Events Mail Match
local function drop_tickets(coordinator, most)
  local set = P .. 'waiting:' .. coordinator
  local tickets = call('SRANDMEMBER', set, most)
  for _, ticket in ipairs(tickets) do
    local names = { 'lease', 'coordinator', 'selector', 'holder' }
    local known = fields(names, call('HMGET', P .. 'ticket:' .. ticket, unpack(names)))
    local record = known.lease ~= '' and lease_record(known.lease) or nil
    call('SREM', set, ticket)
    if record then
      if record.coordinator == coordinator and record.state == 'offered' then
        withdraw(known.lease, record, 'withdrawn')
        event('dropped', 'ticket', ticket, 'holder', record.holder, 'why', 'its coordinator is gone')
        settle_all(known.lease, record)
      end
    elseif known.coordinator == coordinator then
      leave(ticket, known.selector)
      call('DEL', P .. 'ticket:' .. ticket)
      event('dropped', 'ticket', ticket, 'holder', known.holder, 'why', 'its coordinator is gone')
    end
  end
  return #tickets < most
end

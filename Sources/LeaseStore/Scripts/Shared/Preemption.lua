-- Preemption: who wants which lease's unit (design §4.6, docs/protocol.md §8). A lease remembers its waiter, a ticket its lease.
-- uses: Keys Clock Events Mail Match
local function still_waits(ticket)
  local known = call('HMGET', P .. 'ticket:' .. ticket, 'lease', 'selector')
  return known[2] and known[2] ~= '' and (not known[1] or known[1] == '')
end
local function preemptor(lease) return call('HGET', P .. 'lease:' .. lease, 'preemptor') or '' end
local function spare(lease, record)
  call('HDEL', P .. 'lease:' .. lease, 'preemptor', 'preemption')
  event('spared', 'unit', record.unit, 'lease', lease, 'holder', record.holder)
end

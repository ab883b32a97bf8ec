-- Cancel: a coordinator gives up a ticket that is still its own, whatever has become of it (design §4.7).
-- uses: Keys Clock Events Mail Match
-- A grant that nobody waits for is given back by its own name: the ticket may have another lease, which was told.
-- ARGV 1 ticket, 2 coordinator, 3 token hash, 4 why: cancelled, timeout, undelivered, shutdown, forgotten, 5 lease or "",
-- 6 number of the coordinator's last heartbeat
-- returns {"cancelled"} | {"released"} | {"not-yours"} | {"unknown"} | {"late"}
local ticket, coordinator, token, why, named = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5]
if is_late(coordinator, ARGV[6]) then return { 'late' } end
local kind = why == 'timeout' and 'timeout' or 'cancelled'
local names = { 'lease', 'coordinator', 'selector', 'holder', 'token' }
local known = fields(names, call('HMGET', P .. 'ticket:' .. ticket, unpack(names)))
if named == '' then call('SREM', P .. 'waiting:' .. coordinator, ticket) end
local lease = named ~= '' and named or known.lease
local record = lease ~= '' and lease_record(lease) or nil
if not record and named ~= '' then
  mark_unknown(named, token, 'cancelled')
  return { 'unknown' }
end
if not record then
  if known.selector == '' then
    call('DEL', P .. 'ticket:' .. ticket)
    return { 'unknown' }
  end
  if known.coordinator ~= coordinator then return { 'not-yours' } end
  leave(ticket, known.selector)
  call('DEL', P .. 'ticket:' .. ticket)
  event(kind, 'ticket', ticket, 'holder', known.holder, 'why', why)
  save_clock()
  send_mail() -- what was held back for it has been offered to others
  return { 'cancelled' }
end
if record.coordinator ~= coordinator then return { 'not-yours' } end
local word = 'released'
if record.state == 'offered' then
  mark_ended(lease, record.token, 'withdrawn')
  withdraw(lease, record, 'withdrawn')
  event(kind, 'ticket', ticket, 'holder', record.holder, 'why', why)
  settle_all(lease, record)
  word = 'cancelled'
elseif record.token ~= token then
  return { 'not-yours' }
else
  give_back(lease, record, 'cancelled', why)
end
save_clock()
send_mail()
return { word }

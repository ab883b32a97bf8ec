-- Preempt: a waiter's wish for the unit of a lease: its holder is asked to give it back (docs/protocol.md §8). Ends nothing.
-- A wish that is said again is passed on again, so that a lost message costs no more than the time to the next.
-- uses: Keys Clock Events Mail Match Preemption
-- ARGV 1 ticket, 2 coordinator, 3 lease, 4 least distance of the priorities, 5 ms that a lease is left alone, 6 by
-- returns {"asked", lease} | {"not-now"}
local ticket, lease = ARGV[1], ARGV[3]
local names = { 'lease', 'coordinator', 'selector', 'holder', 'priority', 'preempts' }
local known = fields(names, call('HMGET', P .. 'ticket:' .. ticket, unpack(names)))
if known.selector == '' or known.lease ~= '' or known.coordinator ~= ARGV[2] then return { 'not-now' } end
-- One lease at a time for each waiter.
if known.preempts ~= '' and preemptor(known.preempts) == ticket then lease = known.preempts end
local record = lease_record(lease)
local unit = record and unit_record(record.unit)
if not unit or unit.lease ~= lease then return { 'not-now' } end
local function any_meets(lease, record, selector)
  for _, one in ipairs(units_of(lease, record)) do
    if meets(one, selector) then return true end
  end
  return false
end
local other = preemptor(lease)
if record.state == 'ending' and other == ticket then return { 'asked', lease } end
if record.state ~= 'held' or (other ~= '' and other ~= ticket and still_waits(other)) then return { 'not-now' } end
if other ~= ticket then
  local granted = tonumber(call('HGET', P .. 'lease:' .. lease, 'granted')) or 0
  -- A unit that will be offered to nobody is no use to who waits.
  if host_record(unit.host).cordoned == '1' or not any_meets(lease, record, known.selector) or tonumber(record.priority) - tonumber(known.priority) < tonumber(ARGV[4])
    or now_ms - granted < tonumber(ARGV[5]) then
    return { 'not-now' }
  end
  call('HSET', P .. 'lease:' .. lease, 'preemptor', ticket, 'preemption',
    table.concat({ ticket, known.holder, known.priority, int(now_ms), record.grace }, '\31'))
  call('HSET', P .. 'ticket:' .. ticket, 'preempts', lease)
  event('preempting', 'unit', record.unit, 'lease', lease, 'holder', record.holder, 'grace', record.grace, 'waiter', ticket,
    'for', known.holder, 'priority', known.priority, 'by', ARGV[6])
end
tell_agent(host_of(lease), { 'preempt', lease, ticket, known.holder, known.priority, ARGV[6] })
save_clock()
send_mail()
return { 'asked', lease }

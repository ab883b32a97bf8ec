-- Beat: a coordinator's heartbeat (design §4.7, §6). Compares a slice of its waiting tickets and sweeps what has
-- lapsed: offers, coordinators, hosts, drains; a bounded number a call.
-- uses: Keys Clock Events Mail Match Drop Drains Settle
-- ARGV 1 coordinator, 2 number, 3 presence ms, 4 fresh epoch, 5 ms after which a lost host is dropped,
-- 6 how many tickets the coordinator has, 7 the epoch that it knows or "", 8 the newest event that it knows, 9 how many
-- hosts were present when it last heard, 10… tickets
-- returns {last event id, epoch, {unknown tickets}, {moved tickets}, {held: ticket, lease, …}, first event id,
-- {some of its tickets, where more are known here than it has}, 0 settled | 1 settling | 2 settling goes on with the next
-- heartbeat, hosts present} | {"late"}
local PACKED_MS = 5000 -- several heartbeats of any coordinator
local coordinator = ARGV[1]
if is_late(coordinator, ARGV[2]) then return { 'late' } end
call('ZADD', P .. 'coordinators', now_ms + tonumber(ARGV[3]), coordinator)
call('HSET', P .. 'beats', coordinator, ARGV[2])
call('SADD', P .. 'readers', coordinator)
note_loss(ARGV[7], ARGV[8], ARGV[4], ARGV[9])
do -- not while the record is filled again: of some coordinators it may have yet to hear
  local read_by_all = is_settled
  for _, other in ipairs(call('ZRANGE', P .. 'coordinators', 0, -1)) do
    read_by_all = read_by_all and call('SISMEMBER', P .. 'readers', other) == 1
  end
  packed_until = read_by_all and now_ms + PACKED_MS or 0
  call('HSET', KEYS[1], 'packed', int(packed_until))
end

for _, lease in ipairs(call('ZRANGEBYSCORE', P .. 'offers', '-inf', int(now_ms), 'LIMIT', 0, 32)) do
  local record = lease_record(lease)
  if not record or record.state ~= 'offered' then
    call('ZREM', P .. 'offers', lease)
  else
    withdraw(lease, record, 'lapsed')
    tell_agent(host_of(lease), { 'speak' })
    for _, unit in ipairs(units_of(lease, record)) do set_state(unit, 'unheard') end
    distrust(host_of(lease))
    requeue(record)
  end
end

for _, gone in ipairs(call('ZRANGEBYSCORE', P .. 'coordinators', '-inf', int(now_ms), 'LIMIT', 0, 4)) do
  if drop_tickets(gone, 256) then
    call('ZREM', P .. 'coordinators', gone)
    call('HDEL', P .. 'beats', gone)
    call('SREM', P .. 'readers', gone)
    event('dropped', 'coordinator', gone, 'why', 'no heartbeat')
  end
end

for _, host in ipairs(call('ZRANGEBYSCORE', P .. 'hosts', '-inf', int(now_ms), 'LIMIT', 0, 8)) do
  distrust(host)
  call('ZREM', P .. 'hosts', host)
  call('ZADD', P .. 'lost', now_ms + tonumber(ARGV[5]), host)
  event('host-lost', 'host', host)
end
for _, host in ipairs(call('ZRANGEBYSCORE', P .. 'lost', '-inf', int(now_ms), 'LIMIT', 0, 8)) do
  for id in string.gmatch(units_of_host(host), '%S+') do
    local unit = unit_record(id)
    local record = unit and unit.lease ~= '' and lease_record(unit.lease)
    if record then
      remove_lease(unit.lease, record) -- also where it spans several: it is gone at the others
      if record.state == 'offered' then
        requeue(record)
      else
        -- Not remembered as gone: a clock that leaps drops hosts that live, and a holder that asks hears it from the agent.
        lease_event('lost', unit.lease, record, 'unheard', host, 'its host stays away')
      end
    end
    forget_warm(id)
    call('DEL', P .. 'unit:' .. id)
  end
  call('DEL', P .. 'host:' .. host, P .. 'ended:' .. host)
  call('ZREM', P .. 'drains', host)
  call('ZREM', P .. 'lost', host)
  event('registered', 'host', host, 'why', 'dropped: it stayed away')
end
count_drains()
-- Who could not gather in time lets the others have the units, and may try for twice as long the next time.
if has_gatherings then
  for _, host in ipairs(call('ZRANGEBYSCORE', P .. 'gathers', '-inf', int(now_ms), 'LIMIT', 0, 8)) do
    local held = gathering(host)
    if held and held.ticket ~= '' then
      local span = tonumber(call('HGET', P .. 'ticket:' .. held.ticket, 'gather'))
      if span then call('HSET', P .. 'ticket:' .. held.ticket, 'gather', int(2 * span)) end
      for _, unit in ipairs(scatter(host)) do settle(unit) end
    else
      forget_gathering(host)
    end
  end
  if call('EXISTS', P .. 'gathers') == 0 then call('HDEL', KEYS[1], 'gathers') end
end

local unknown, moved, held = {}, {}, {}
for i = 10, #ARGV do
  local ticket = ARGV[i]
  local known = call('HMGET', P .. 'ticket:' .. ticket, 'lease', 'coordinator')
  local lease = known[1] or ''
  local record = lease ~= '' and lease_record(lease)
  if record then
    if record.coordinator ~= coordinator then
      moved[#moved + 1] = ticket
    elseif record.state ~= 'offered' then
      held[#held + 1] = ticket
      held[#held + 1] = lease
    end
  elseif not known[2] or lease ~= '' then
    unknown[#unknown + 1] = ticket
  elseif known[2] ~= coordinator then
    moved[#moved + 1] = ticket
  end
end
local more = {}
if call('SCARD', P .. 'waiting:' .. coordinator) > tonumber(ARGV[6]) then
  more = call('SRANDMEMBER', P .. 'waiting:' .. coordinator, 256)
end
local settling = go_on_settling()
save_clock()
send_mail()
local function event_id(command, from, to)
  local entry = call(command, P .. 'events', from, to, 'COUNT', 1)[1]
  return entry and entry[1] or '0-0'
end
return { event_id('XREVRANGE', '+', '-'), call('HGET', KEYS[1], 'epoch'), unknown, moved, held, event_id('XRANGE', '-', '+'), more,
  settling, call('ZCARD', P .. 'hosts') }

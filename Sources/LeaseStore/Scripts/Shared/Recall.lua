-- Recall: what is taken back: offers, leases, hosts.
-- uses: Keys Clock Events Mail Match
-- The units that are recorded as this lease's.
local function units_of(lease, record)
  local found = {}
  local function look(id)
    local unit = unit_record(id)
    if unit and unit.lease == lease then found[#found + 1] = unit end
  end
  look(record.unit)
  for id in string.gmatch(record.also, '%S+') do look(id) end
  return found
end

local function set_state(unit, state)
  if unit.state == state and unit.lease == '' then return end
  call('HSET', P .. 'unit:' .. unit.id, 'state', state, 'lease', '')
  event('unit-state', 'unit', unit.id, 'state', state)
  unit.state, unit.lease = state, ''
end

-- Queues the ticket of an offer that came to nothing again, with its old score, and looks for another free unit.
local function requeue(record)
  local ticket, terms = record.ticket, { 'lease', '', 'affinity', record.affinity }
  local most = width(record.selector)
  if most > 1 and record.gather then
    terms[5], terms[6] = 'gather', record.gather
  end
  for _, name in ipairs(terms_names) do
    terms[#terms + 1] = name
    terms[#terms + 1] = record[name]
  end
  call('HSET', P .. 'ticket:' .. ticket, unpack(terms))
  call('SADD', P .. 'waiting:' .. record.coordinator, ticket)
  enqueue(ticket, record.selector, record.score)
  waits('requeued', record)
  if most > 1 then return find_several(record, most) end
  local unit = free_unit(record.selector, record.affinity)
  if unit then
    take_from_free(unit)
  else
    unit = reserved_unit(record.selector, tonumber(record.score))
  end
  if unit then settle(unit) end
end

-- The word about the early end of a lease that is not known here, which is not ended at its agent for all that. A caller may make leases up,
-- also of hosts that there are not: so many of each host that is known, and of all others together, are marked at a time.
local MARKS = 10000
local MARKED_S = 900
local function mark_unknown(lease, token, reason)
  local host = host_of(lease)
  local marks = P .. 'ended:' .. host
  if call('HLEN', marks) >= MARKS then return end
  if call('EXISTS', P .. 'host:' .. host) == 0 then
    local strangers = P .. 'strangers'
    for _, old in ipairs(call('ZRANGEBYSCORE', strangers, '-inf', int(now_ms - MARKED_S * 1000), 'LIMIT', 0, 16)) do
      call('ZREM', strangers, old)
    end
    if call('ZCARD', strangers) >= MARKS then return end
    call('ZADD', strangers, int(now_ms), lease)
    call('EXPIRE', strangers, MARKED_S)
  end
  mark_ended(lease, token, reason)
  call('EXPIRE', marks, MARKED_S)
end
local function remember_gone(lease, reason, by)
  call('SET', P .. 'gone:' .. lease, reason .. '\31' .. (by or ''), 'EX', 900)
end

-- An offer taken back before it was confirmed here. The ticket is not queued again here. No mark is left for a later
-- session: another copy of Redis may have taken the confirm. Whoever gives the ticket itself up marks it.
local function withdraw(lease, record, reason, state)
  remove_lease(lease, record)
  tell_agent(host_of(lease), { 'end', lease, record.token, 'withdrawn' })
  lease_event(reason, lease, record, state or 'free')
end

-- A held lease is over; its agent ends what runs under it and says when that is gone (design §4.6).
local function mark_ending(lease, record, reason, by, why)
  call('HSET', P .. 'lease:' .. lease, 'state', 'ending', 'reason', reason, 'by', by, 'why', why)
  mark_units(record, 'ending')
  event('ending', 'unit', record.unit, 'lease', lease, 'holder', record.holder, 'by', by, 'why', why, 'reason', reason,
    spanning(record))
end

-- An admin's word about a confirmed lease, and again about one that is ending.
local function revoke(lease, record, reason, by, why)
  if record.state == 'held' then mark_ending(lease, record, reason, by, why) end
  tell_agent(host_of(lease), { 'revoke', lease, reason, by, why })
end

-- Nothing of this host is offered before it has spoken again.
local function distrust(host)
  call('HSET', P .. 'host:' .. host, 'suspect', '1')
  local record = host_record(host)
  record.suspect = '1'
  for _, unit in ipairs(scatter(host)) do set_state(unit, 'unheard') end
  for id in string.gmatch(units_of_host(host), '%S+') do
    local unit = unit_record(id)
    if unit and unit.state == 'free' then
      take_from_free(unit)
      set_state(unit, 'unheard')
    end
  end
end

-- Compare: one unit as its agent reports it against the record here (design §6).
-- uses: Keys Clock Events Mail Match

-- The words that wait for this agent about leases it still reports; all others it has heard.
local function read_marks(host, reports)
  local key, found = P .. 'ended:' .. host, {}
  if call('EXISTS', key) == 0 then return found end
  for _, report in ipairs(reports) do
    local mark = report.lease and call('HGET', key, report.lease)
    if mark then found[report.lease] = mark end
  end
  call('DEL', key)
  for lease, mark in pairs(found) do call('HSET', key, lease, mark) end
  return found
end

-- Takes away what the record has on this unit, since its agent knows better, and with it on all units of that lease. The
-- ticket of an offer goes back.
local function drop_record(unit, lease, record, why)
  unit.lease, unit.state = '', 'unheard'
  for _, one in ipairs(record.also ~= '' and units_of(lease, record) or { unit }) do
    call('HSET', P .. 'unit:' .. one.id, 'state', 'unheard', 'lease', '')
  end
  if record.state == 'offered' then
    withdraw(lease, record, 'withdrawn', record.also ~= '' and 'unheard')
    requeue(record)
  else
    -- One that its agent was ending by itself has no reason here: the word that it has ended was lost.
    local reason = record.state == 'ending' and record.reason ~= '' and record.reason or 'lost'
    remove_lease(lease, record)
    remember_gone(lease, reason, record.by)
    lease_event(reason, lease, record, 'unheard', record.by, why)
  end
end

-- The further units of a lease that stands at its agent.
local function take_others(report, state)
  for id in string.gmatch(report.also, '%S+') do
    local other = unit_record(id)
    if other and (other.lease ~= report.lease or other.state ~= state) then
      take_from_free(other)
      call('HSET', P .. 'unit:' .. id, 'state', state, 'lease', report.lease)
    end
  end
end

-- Writes a confirmed lease that is missing here, from the agent's word. Where its ticket has another that was confirmed
-- it stands beside that one: which of the two was told is not known here, so neither ends the other.
local function restore(unit, report)
  local terms, lease = report.terms, report.lease
  local names = { 'lease', 'selector', 'coordinator' }
  local known = fields(names, call('HMGET', P .. 'ticket:' .. terms.ticket, unpack(names)))
  local other = known.lease ~= '' and known.lease ~= lease and lease_record(known.lease) or nil
  local is_second = other and other.state ~= 'offered'
  if other and not is_second then
    withdraw(known.lease, other, 'withdrawn')
    terms.coordinator = other.coordinator
    settle_all(known.lease, other)
  elseif known.selector ~= '' and known.lease == '' then
    leave(terms.ticket, known.selector)
    terms.coordinator = known.coordinator
  end
  call('SREM', P .. 'waiting:' .. terms.coordinator, terms.ticket)
  take_from_free(unit)
  local state = report.state == 'ending' and 'ending' or 'held'
  local record = { 'state', state, 'unit', unit.id, 'also', report.also, 'granted', int(now_ms + report.remaining - tonumber(terms.ttl)),
    'expires', int(now_ms + report.remaining) }
  for _, name in ipairs(terms_names) do
    record[#record + 1] = name
    record[#record + 1] = terms[name]
  end
  call('HSET', P .. 'lease:' .. lease, unpack(record))
  if not is_second then
    call('DEL', P .. 'ticket:' .. terms.ticket)
    call('HSET', P .. 'ticket:' .. terms.ticket, 'lease', lease)
  end
  call('HSET', P .. 'unit:' .. unit.id, 'state', state, 'lease', lease)
  take_others(report, state)
  call('ZADD', P .. 'holder:' .. terms.caller .. '/' .. terms.holder, string.match(lease, '#(.*)$'), lease)
  event('restored', 'unit', unit.id, 'lease', lease, 'holder', terms.holder, 'caller', terms.caller, 'ticket', terms.ticket,
    'priority', terms.priority, 'ttl', terms.ttl, 'expires', int(now_ms + report.remaining), 'metadata', terms.metadata,
    'coordinator', terms.coordinator, 'selector', terms.selector, 'score', terms.score, 'state', state,
    spanning(report))
  if not is_second then tell_coordinator(terms.coordinator, { 'held', terms.ticket, lease }) end
end

-- The same lease on both sides.
local function agree(unit, report, record)
  local key = P .. 'lease:' .. report.lease
  local expires = now_ms + report.remaining
  call('HSET', key, 'token', report.token, 'expires', int(expires))
  if report.also ~= record.also then
    record.also = report.also
    call('HSET', key, 'also', report.also)
  end
  take_others(report, (record.state == 'ending' or report.state == 'ending') and 'ending' or 'held')
  if record.state ~= 'offered' and record.token ~= report.token then
    -- An older copy, which is behind in whose the ticket is as well.
    call('HSET', key, 'coordinator', report.terms.coordinator)
  end
  if record.state == 'offered' then
    call('HSET', key, 'state', 'held', 'granted', int(expires - tonumber(record.ttl)))
    call('HSET', P .. 'unit:' .. unit.id, 'state', 'held')
    call('ZREM', P .. 'offers', report.lease)
    call('SREM', P .. 'waiting:' .. record.coordinator, record.ticket)
    if record.affinity ~= '' then warm_units(record) end
    call('ZADD', P .. 'holder:' .. record.caller .. '/' .. record.holder, string.match(report.lease, '#(.*)$'), report.lease)
    event('restored', 'unit', unit.id, 'lease', report.lease, 'holder', record.holder, 'caller', record.caller, 'ticket',
      record.ticket, 'priority', record.priority, 'ttl', record.ttl, 'expires', int(expires), 'metadata', record.metadata,
      'coordinator', record.coordinator, 'selector', record.selector, 'score', record.score, 'state', 'held',
      spanning(record))
    tell_coordinator(record.coordinator, { 'held', record.ticket, report.lease })
  elseif record.state == 'ending' and report.state ~= 'ending' then
    tell_agent(unit.host, { 'revoke', report.lease, record.reason, record.by, record.why })
  elseif record.state == 'held' and report.state == 'ending' then
    call('HSET', key, 'state', 'ending')
    call('HSET', P .. 'unit:' .. unit.id, 'state', 'ending')
    event('ending', 'unit', unit.id, 'lease', report.lease, 'holder', record.holder, 'why', 'what runs under it has to end',
      spanning(record))
  end
end

-- The word that ends a reported lease, where one waits that was given with its present token.
local function word_about(report, mark)
  local token, reason = string.match(mark or '', '^(.-)\31(.*)$')
  if token and (token == report.token or token == '*') then return token, reason end
end

local function compare(unit, report, mark, first)
  local lease = unit.lease
  local record = lease ~= '' and lease_record(lease) or nil
  if report.state == 'free' or report.state == 'resting' then
    if record and record.state == 'offered' and report.state == 'free' then
      if record.unit ~= unit.id then return end
      local message = { 'offer', lease, record.token, record.beat, '', '' }
      for i = 1, #terms_names - 1 do message[#message + 1] = record[terms_names[i]] end
      if record.also ~= '' then message[#message + 1] = record.also end
      return tell_agent(unit.host, message)
    end
    if record then drop_record(unit, lease, record, 'its agent does not have it') end
    if report.state == 'resting' then
      take_from_free(unit)
      return set_state(unit, 'resting')
    end
    if unit.state ~= 'free' and unit.state ~= 'reserved' then settle(unit) end
    return
  end
  local token, reason = word_about(report, mark)
  if token then
    tell_agent(unit.host, { 'end', report.lease, token, reason })
    if record and lease == report.lease then
      if record.state == 'ending' then return end
      drop_record(unit, lease, record, 'its early end came late')
    end
    local over = { report.lease, report.token }
    if unit.lease == '' and unit.state ~= 'free' then settle(unit, over) end
    for id in string.gmatch(report.also, '%S+') do
      local other = unit_record(id)
      if other and other.lease == '' and other.state ~= 'free' then settle(other, over) end
    end
    return
  end
  if report.state == 'confirming' then
    if not first then return end
    -- A record that still says "offered" may be an older copy: the confirm may have been taken elsewhere, and is now.
    tell_agent(unit.host, { 'confirmed', report.lease })
  end
  if record and lease == report.lease then return agree(unit, report, record) end
  if record then drop_record(unit, lease, record, 'its agent has another lease') end
  restore(unit, report)
end

-- A further unit of a lease that is reported with its first one: it is nobody else's.
local function bind(unit, report)
  take_from_free(unit)
  if unit.lease == report.lease then return end
  local record = unit.lease ~= '' and lease_record(unit.lease) or nil
  if record then drop_record(unit, unit.lease, record, 'its agent has another lease') end
  set_state(unit, 'unheard')
end

-- A unit that its agent has no more.
local function forget_unit(id)
  local unit = unit_record(id)
  if not unit then return end
  take_from_free(unit)
  local record = unit.lease ~= '' and lease_record(unit.lease)
  if record and record.unit == id then drop_record(unit, unit.lease, record, 'the device is gone') end
  forget_warm(id)
  call('DEL', P .. 'unit:' .. id)
end

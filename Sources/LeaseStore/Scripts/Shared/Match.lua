-- Match: who gets a unit, and the moves of tickets and leases that every state change is made of (design §3, §4).
-- uses: Keys Clock Events Mail
local OFFER_WINDOW_MS = 2000
local terms_names = { 'holder', 'caller', 'ticket', 'coordinator', 'priority', 'selector', 'score', 'ttl', 'metadata', 'grace',
  'token' }
local lease_names = { 'holder', 'caller', 'ticket', 'coordinator', 'priority', 'selector', 'score', 'ttl', 'metadata',
  'grace', 'token', 'state', 'unit', 'reason', 'by', 'why', 'beat', 'affinity' }
-- In the order of lease_names. Written out, so that Lua makes the table at once rather than growing it field by field.
local function lease_record(lease)
  local v = call('HMGET', P .. 'lease:' .. lease, unpack(lease_names))
  if not v[12] or v[12] == '' then return nil end
  return { holder = v[1] or '', caller = v[2] or '', ticket = v[3] or '', coordinator = v[4] or '', priority = v[5] or '',
    selector = v[6] or '', score = v[7] or '', ttl = v[8] or '', metadata = v[9] or '', grace = v[10] or '',
    token = v[11] or '', state = v[12], unit = v[13] or '', reason = v[14] or '', by = v[15] or '', why = v[16] or '',
    beat = v[17] or '', affinity = v[18] or '' }
end
local unit_names = { 'host', 'kind', 'vram', 'type', 'labels', 'state', 'lease' }
-- In the order of unit_names.
local function unit_record(unit)
  local v = call('HMGET', P .. 'unit:' .. unit, unpack(unit_names))
  if not v[2] or v[2] == '' then return nil end
  return { id = unit, host = v[1] or '', kind = v[2], vram = v[3] or '', type = v[4] or '', labels = v[5] or '',
    state = v[6] or '', lease = v[7] or '' }
end
local function host_of(lease) return string.match(lease, '^([^/]*)/') or '' end
local function unit_of(lease) return string.match(lease, '^([^#]*)#') or '' end

local function meets(unit, selector)
  local base, conditions = string.match(selector, '^([^?]*)%??(.*)$')
  local kind = unit.kind
  if base ~= kind .. '/any' and base ~= kind .. '/host=' .. unit.host and base ~= kind .. '/unit=' .. unit.id then
    return false
  end
  for name, value in string.gmatch(conditions, '([^=&]+)=([^&]*)') do
    if name == 'vram' then
      if (tonumber(unit.vram) or 0) < tonumber(value) then return false end
    elseif name == 'type' then
      if unit.type ~= value then return false end
    elseif not string.find(unit.labels, ',' .. string.sub(name, 7) .. '=' .. value .. ',', 1, true) then
      return false
    end
  end
  return true
end

local function free_set(unit) return P .. 'free:' .. unit.kind, P .. 'free:' .. unit.kind .. '/host=' .. unit.host end
local function take_from_free(unit)
  local all, own = free_set(unit)
  call('ZREM', all, unit.id)
  call('ZREM', own, unit.id)
end

-- By memory, so that the smallest that fits comes first; of equal ones that of the host which had the most free ones.
-- The half is reached by nobody, so that a bound on the memory is one on the score.
local function put_among_free(unit)
  local all, own = free_set(unit)
  local memory = tonumber(unit.vram) or 0
  call('ZADD', own, memory, unit.id)
  local free = math.min(call('ZCARD', own), 4096)
  call('ZADD', all, memory + (4096 - free) / 8192, unit.id)
end

-- Which unit served which affinity last: a unit is warm for one at a time.
local WARM_LOOKED_AT = 8
local function warm(unit, affinity)
  local before = call('HGET', P .. 'unit:' .. unit, 'warm')
  if before and before ~= affinity then call('ZREM', P .. 'warm:' .. before, unit) end
  call('HSET', P .. 'unit:' .. unit, 'warm', affinity)
  call('ZADD', P .. 'warm:' .. affinity, int(now_ms), unit)
end
local function forget_warm(unit)
  local before = call('HGET', P .. 'unit:' .. unit, 'warm')
  if before then call('ZREM', P .. 'warm:' .. before, unit) end
end

-- A free unit that this selector takes, nil where none is free: one that served this affinity last, or the smallest that
-- fits.
local function free_unit(selector, affinity)
  if not is_settled then return nil end
  local base, conditions = string.match(selector, '^([^?]*)%??(.*)$')
  local kind, scope = string.match(base, '^([^/]*)/(.*)$')
  if affinity ~= '' then
    for _, id in ipairs(call('ZREVRANGE', P .. 'warm:' .. affinity, 0, WARM_LOOKED_AT - 1)) do
      local record = call('ZSCORE', P .. 'free:' .. kind, id) and unit_record(id)
      if record and meets(record, selector) then return record end
    end
  end
  local unit = string.match(scope, '^unit=(.*)$')
  if unit then
    if not call('ZSCORE', P .. 'free:' .. kind, unit) then return nil end
    local record = unit_record(unit)
    return record and meets(record, selector) and record or nil
  end
  local set = P .. 'free:' .. kind .. (scope == 'any' and '' or '/' .. scope)
  if conditions == '' then
    local first = call('ZRANGE', set, 0, 0)[1]
    return first and unit_record(first)
  end
  local least, from = string.match('&' .. conditions, '&vram=(%d+)') or '-inf', 0
  while true do
    local page = call('ZRANGEBYSCORE', set, least, '+inf', 'LIMIT', from, 64)
    for _, id in ipairs(page) do
      local record = unit_record(id)
      if record and meets(record, selector) then return record end
    end
    if #page < 64 then return nil end
    from = from + 64
  end
end

local function enqueue(ticket, selector, score)
  call('ZADD', P .. 'queue:' .. selector, score, ticket)
  call('SADD', P .. 'queues', selector)
  if string.find(selector, '?', 1, true) then call('SADD', P .. 'conditional', selector) end
end
local function dequeue(ticket, selector)
  local queue = P .. 'queue:' .. selector
  call('ZREM', queue, ticket)
  if call('EXISTS', queue) == 0 then
    call('SREM', P .. 'queues', selector)
    if string.find(selector, '?', 1, true) then call('SREM', P .. 'conditional', selector) end
  end
end

local function waits(kind, terms)
  event(kind, 'ticket', terms.ticket, 'holder', terms.holder, 'caller', terms.caller, 'selector', terms.selector,
    'priority', terms.priority, 'score', terms.score, 'coordinator', terms.coordinator, 'ttl', terms.ttl)
end

local function first_waiter(unit)
  if call('SCARD', P .. 'queues') == 0 then return nil end
  local best, best_score, best_queue
  local function look(selector)
    local head = call('ZRANGE', P .. 'queue:' .. selector, 0, 0, 'WITHSCORES')
    if head[1] then
      local score = tonumber(head[2])
      if not best or score < best_score or (score == best_score and head[1] < best) then
        best, best_score, best_queue = head[1], score, selector
      end
    end
  end
  look(unit.kind .. '/any')
  look(unit.kind .. '/host=' .. unit.host)
  look(unit.kind .. '/unit=' .. unit.id)
  for _, selector in ipairs(call('SMEMBERS', P .. 'conditional')) do
    if meets(unit, selector) then look(selector) end
  end
  return best, best_queue
end

-- `terms` has terms_names; `after` is {lease, token} of the release that made room, or nil.
local function offer(unit, terms, after)
  local fencing = int(next_fence())
  local lease = unit.id .. '#' .. fencing
  local beat = call('HGET', P .. 'beats', terms.coordinator) or ''
  local message = { 'offer', lease, terms.token, beat, after and after[1] or '', after and after[2] or '' }
  local record = { 'state', 'offered', 'unit', unit.id, 'beat', beat }
  for i = 1, #terms_names do
    record[#record + 1] = terms_names[i]
    record[#record + 1] = terms[terms_names[i]]
    if i < #terms_names then message[#message + 1] = terms[terms_names[i]] end
  end
  if terms.affinity ~= '' then
    record[#record + 1] = 'affinity'
    record[#record + 1] = terms.affinity
  end
  call('HSET', P .. 'lease:' .. lease, unpack(record))
  call('HSET', P .. 'ticket:' .. terms.ticket, 'lease', lease)
  call('HSET', P .. 'unit:' .. unit.id, 'state', 'offered', 'lease', lease)
  call('ZADD', P .. 'offers', now_ms + OFFER_WINDOW_MS, lease)
  unit.state, unit.lease = 'offered', lease
  event('offered', 'unit', unit.id, 'lease', lease, 'ticket', terms.ticket, 'holder', terms.holder, 'coordinator',
    terms.coordinator, 'priority', terms.priority, 'ttl', terms.ttl)
  tell_agent(unit.host, message)
  return lease
end

local ticket_names = { 'affinity', unpack(terms_names) }
local function ticket_terms(ticket)
  local terms = fields(ticket_names, call('HMGET', P .. 'ticket:' .. ticket, unpack(ticket_names)))
  terms.ticket = ticket
  return terms
end

local function set_state(unit, state)
  if unit.state == state and unit.lease == '' then return end
  call('HSET', P .. 'unit:' .. unit.id, 'state', state, 'lease', '')
  event('unit-state', 'unit', unit.id, 'state', state)
  unit.state, unit.lease = state, ''
end

-- The unit is free: offer it to the first waiter, or put it among the free. Until the record has settled it is kept apart.
local function settle(unit, after)
  local host = host_record(unit.host)
  if host.suspect == '1' or host.instance == '' then return set_state(unit, 'unheard') end
  if host.cordoned ~= '1' and is_settled then
    local ticket, queue = first_waiter(unit)
    if ticket then
      dequeue(ticket, queue)
      return offer(unit, ticket_terms(ticket), after)
    end
    put_among_free(unit)
  elseif host.cordoned ~= '1' then
    call('ZADD', P .. 'settling', 0, unit.id)
  end
  call('HSET', P .. 'unit:' .. unit.id, 'state', 'free', 'lease', '')
  if unit.state == 'unheard' or unit.state == 'resting' then event('unit-state', 'unit', unit.id, 'state', 'free') end
  unit.state, unit.lease = 'free', ''
end

-- Takes the record of a lease away; what becomes of its unit and ticket is the caller's to say.
local function remove_lease(lease, record)
  local ticket = P .. 'ticket:' .. record.ticket
  if call('HGET', ticket, 'lease') == lease then
    call('DEL', P .. 'lease:' .. lease, ticket)
  else
    call('DEL', P .. 'lease:' .. lease)
  end
  if record.state == 'offered' then
    call('ZREM', P .. 'offers', lease)
    call('SREM', P .. 'waiting:' .. record.coordinator, record.ticket)
  else
    call('ZREM', P .. 'holder:' .. record.caller .. '/' .. record.holder, lease)
  end
end

local function lease_event(kind, lease, record, state, by, why)
  event(kind, 'unit', record.unit, 'lease', lease, 'holder', record.holder, 'ticket', record.ticket, 'state', state,
    'by', by or '', 'why', why or '')
end

-- Queues the ticket of an offer that came to nothing again, with its old score, and looks for another free unit.
local function requeue(record)
  local ticket, terms = record.ticket, { 'lease', '', 'affinity', record.affinity }
  for _, name in ipairs(terms_names) do
    terms[#terms + 1] = name
    terms[#terms + 1] = record[name]
  end
  call('HSET', P .. 'ticket:' .. ticket, unpack(terms))
  call('SADD', P .. 'waiting:' .. record.coordinator, ticket)
  enqueue(ticket, record.selector, record.score)
  waits('requeued', record)
  local unit = free_unit(record.selector, record.affinity)
  if unit then
    take_from_free(unit)
    settle(unit)
  end
end

-- The word about an early end: kept for the agent's next heartbeat, in case the message is lost (design §6).
local function mark_ended(lease, token, reason)
  call('HSET', P .. 'ended:' .. host_of(lease), lease, token .. '\31' .. reason)
end
-- The same of a lease that is not known here, which is not ended at its agent for all that. A caller may make leases up,
-- also of hosts that there are not: so many of each host that is known, and of all others together, are marked at a time.
local MARKS, MARKED_S = 10000, 900
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

-- A confirmed lease given back before its time: tells the agent, frees the unit.
local function give_back(lease, record, reason, by)
  mark_ended(lease, record.token, reason)
  tell_agent(host_of(lease), { 'end', lease, record.token, reason })
  if record.state == 'ending' then return end -- the agent says when its processes are gone
  remove_lease(lease, record)
  lease_event(reason, lease, record, 'free', by)
  local unit = unit_record(record.unit)
  if unit and unit.lease == lease then settle(unit, { lease, record.token }) end
end

-- An offer taken back before it was confirmed here. The ticket is not queued again here. No mark is left for a later
-- session: another copy of Redis may have taken the confirm. Whoever gives the ticket itself up marks it.
local function withdraw(lease, record, reason)
  remove_lease(lease, record)
  tell_agent(host_of(lease), { 'end', lease, record.token, 'withdrawn' })
  lease_event(reason, lease, record, 'free')
end

-- A held lease is over; its agent ends what runs under it and says when that is gone (design §4.6).
local function mark_ending(lease, record, reason, by, why)
  call('HSET', P .. 'lease:' .. lease, 'state', 'ending', 'reason', reason, 'by', by, 'why', why)
  call('HSET', P .. 'unit:' .. record.unit, 'state', 'ending')
  event('ending', 'unit', record.unit, 'lease', lease, 'holder', record.holder, 'by', by, 'why', why, 'reason', reason)
end

-- An admin's word about a confirmed lease, and again about one that is ending.
local function revoke(lease, record, reason, by, why)
  if record.state == 'held' then mark_ending(lease, record, reason, by, why) end
  tell_agent(host_of(lease), { 'revoke', lease, reason, by, why })
end

-- Nobody can be told through this host's agent now.
local function is_silent(host)
  local presence = call('ZSCORE', P .. 'hosts', host)
  return not presence or tonumber(presence) < now_ms
end

-- The number of the last heartbeat that Redis has from a coordinator, or nil. Each of its connections begins with one, so that
-- a script which names an earlier one was sent on a connection before: it changes nothing.
local function last_beat(coordinator) return tonumber(call('HGET', P .. 'beats', coordinator)) end
local function is_late(coordinator, beat) return (last_beat(coordinator) or 0) > tonumber(beat) end

-- Nothing of this host is offered before it has spoken again.
local function suspect(host)
  call('HSET', P .. 'host:' .. host, 'suspect', '1')
  local record = host_record(host)
  record.suspect = '1'
  for id in string.gmatch(record.units, '%S+') do
    local unit = unit_record(id)
    if unit and unit.state == 'free' then
      take_from_free(unit)
      set_state(unit, 'unheard')
    end
  end
end

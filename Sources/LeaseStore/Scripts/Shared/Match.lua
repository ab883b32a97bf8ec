-- Match: who gets a unit, and the moves of tickets and leases that every state change is made of (design §3, §4). Every
-- grant passes here: reads what it needs and no more, and writes tables out, which costs less than filling them.
-- uses: Keys Clock Events Mail
-- rarely: Choose Several Recall
local OFFER_WINDOW_MS = 2000
-- How many of one queue are looked at for a unit that those ahead cannot have now.
local HEADS_LOOKED_AT = 4
-- Up to so many queues are asked for by name; where there are more, each that the unit may serve is looked at.
local FEW_QUEUES = 3
local terms_names = { 'holder', 'caller', 'ticket', 'coordinator', 'priority', 'selector', 'score', 'ttl', 'metadata', 'grace',
  'token' }
local lease_names = { 'holder', 'caller', 'ticket', 'coordinator', 'priority', 'selector', 'score', 'ttl', 'metadata',
  'grace', 'token', 'state', 'unit', 'reason', 'by', 'why', 'beat', 'affinity', 'also' }

-- `unit` is the first unit of a lease, `also` the others of one that spans several, with spaces between.
local function lease_record(lease)
  local record = fields(lease_names, call('HMGET', P .. 'lease:' .. lease, unpack(lease_names)))
  if record.also ~= '' then record.gather = call('HGET', P .. 'lease:' .. lease, 'gather') or '' end
  return record.state ~= '' and record or nil
end

-- What give_back and all that it calls need of a lease.
local function lease_to_give_back(lease)
  local known = call('HMGET', P .. 'lease:' .. lease, 'state', 'token', 'ticket', 'unit', 'holder', 'caller', 'also')
  if not known[1] then return nil end
  return { state = known[1], token = known[2], ticket = known[3], unit = known[4], holder = known[5], caller = known[6],
    also = known[7] or '' }
end

local function unit_record(unit)
  local known = call('HMGET', P .. 'unit:' .. unit, 'host', 'kind', 'vram', 'state', 'lease')
  if not known[2] or known[2] == '' then return nil end
  return { id = unit, host = known[1] or '', kind = known[2], vram = known[3] or '', state = known[4] or '',
    lease = known[5] or '' }
end
local function host_of(lease) return string.match(lease, '^([^/]*)/') or '' end
local function unit_of(lease) return string.match(lease, '^([^#]*)#') or '' end

-- How many units of one host a selector takes, all or none.
local function width(selector) return tonumber(string.match(selector, '[?&]count=(%d+)')) or 1 end

-- The last field of an event about a lease that spans several units; nothing for all others.
local function spanning(record)
  if record.also ~= '' then return 'also', record.also end
end

-- What all units of a lease are now.
local function mark_units(record, state)
  call('HSET', P .. 'unit:' .. record.unit, 'state', state)
  for id in string.gmatch(record.also, '%S+') do call('HSET', P .. 'unit:' .. id, 'state', state) end
end

local function take_from_free(unit)
  local all = P .. 'free:' .. unit.kind
  call('ZREM', all, unit.id)
  call('ZREM', all .. '/host=' .. unit.host, unit.id)
end

-- By memory, so that the smallest that fits comes first; of equal ones that of the host which had the most free ones.
-- The half is reached by nobody, so that a bound on the memory is one on the score.
local function put_among_free(unit)
  local all = P .. 'free:' .. unit.kind
  local own = all .. '/host=' .. unit.host
  local memory = tonumber(unit.vram) or 0
  call('ZADD', own, int(memory), unit.id)
  local free = math.min(call('ZCARD', own), 4096)
  call('ZADD', all, memory + (4096 - free) / 8192, unit.id)
end

-- A free unit that this selector takes, nil where none is free.
local function free_unit(selector, affinity)
  if not is_settled then return nil end
  local kind, scope = string.match(selector, '^([^/]*)/([^?]*)$')
  if affinity ~= '' or not kind or string.find(scope, 'unit=', 1, true) == 1 then return chosen_unit(selector, affinity) end
  local first = call('ZRANGE', P .. 'free:' .. kind .. (scope == 'any' and '' or '/' .. scope), '0', '0')[1]
  return first and unit_record(first)
end

local nobody_waits = false -- as far as this script has looked
local function enqueue(ticket, selector, score)
  nobody_waits = false
  call('ZADD', P .. 'queue:' .. selector, score, ticket)
  call('SADD', P .. 'queues', selector)
  if string.find(selector, '?', 1, true) then call('SADD', P .. 'conditional', selector) end
end
-- `others`: whether others stand in that queue, nil where that is not known.
local function dequeue(ticket, selector, others)
  local queue = P .. 'queue:' .. selector
  call('ZREM', queue, ticket)
  if others == nil then others = call('EXISTS', queue) == 1 end
  if not others then
    call('SREM', P .. 'queues', selector)
    if string.find(selector, '?', 1, true) then call('SREM', P .. 'conditional', selector) end
  end
end

local function waits(kind, terms)
  event(kind, 'ticket', terms.ticket, 'holder', terms.holder, 'caller', terms.caller, 'selector', terms.selector,
    'priority', terms.priority, 'score', terms.score, 'coordinator', terms.coordinator, 'ttl', terms.ttl)
end

-- `passed`: how many of each queue cannot have the unit now, nil where nobody was passed over. Returns the ticket, its queue,
-- its score and whether others stand in that queue.
local function first_waiter(unit, passed)
  if nobody_waits then return nil end
  local queues = call('SCARD', P .. 'queues')
  nobody_waits = queues == 0
  if nobody_waits then return nil end
  local best, best_score, best_queue, others
  local function look(selector)
    local at = passed and passed[selector] or 0
    if at == HEADS_LOOKED_AT then return end
    local head = call('ZRANGE', P .. 'queue:' .. selector, at, at + 1, 'WITHSCORES')
    if head[1] then
      local score = tonumber(head[2])
      if not best or score < best_score or (score == best_score and head[1] < best) then
        best, best_score, best_queue, others = head[1], score, selector, at > 0 or head[3] ~= nil
      end
    end
  end
  local any, host, own = unit.kind .. '/any', unit.kind .. '/host=' .. unit.host, unit.kind .. '/unit=' .. unit.id
  local is_few = queues <= FEW_QUEUES
  if not is_few then
    look(any)
    look(host)
    look(own)
  end
  for _, selector in ipairs(call('SMEMBERS', P .. (is_few and 'queues' or 'conditional'))) do
    if string.find(selector, '?', 1, true) then
      if meets(unit, selector) then look(selector) end
    elseif selector == any or selector == host or selector == own then
      look(selector)
    end
  end
  return best, best_queue, best_score, others
end

-- The number of a coordinator's last heartbeat, read once; false where none is known.
local beats = {}
local function last_beat(coordinator)
  if beats[coordinator] == nil then beats[coordinator] = call('HGET', P .. 'beats', coordinator) end
  return beats[coordinator]
end

-- `terms` has terms_names and affinity; `after` is {lease, token}
-- of the release that made room, or nil; `others` the further units, or nil.
local function offer(unit, terms, after, others)
  local fencing = int(next_fence())
  local lease = unit.id .. '#' .. fencing
  local beat = last_beat(terms.coordinator) or ''
  local key = P .. 'lease:' .. lease
  call('HSET', key, 'state', 'offered', 'unit', unit.id, 'beat', beat, 'holder', terms.holder, 'caller', terms.caller,
    'ticket', terms.ticket, 'coordinator', terms.coordinator, 'priority', terms.priority, 'selector', terms.selector,
    'score', terms.score, 'ttl', terms.ttl, 'metadata', terms.metadata, 'grace', terms.grace, 'token', terms.token)
  local message = { 'offer', lease, terms.token, beat, after and after[1] or '', after and after[2] or '', terms.holder,
    terms.caller, terms.ticket, terms.coordinator, terms.priority, terms.selector, terms.score, terms.ttl, terms.metadata,
    terms.grace }
  if terms.affinity ~= '' then call('HSET', key, 'affinity', terms.affinity) end
  local also = ''
  if others then
    local ids = {}
    for i, other in ipairs(others) do
      ids[i] = other.id
      call('HSET', P .. 'unit:' .. other.id, 'state', 'offered', 'lease', lease)
      other.state, other.lease = 'offered', lease
    end
    also = table.concat(ids, ' ')
    call('HSET', key, 'also', also, 'gather', terms.gather)
    message[#message + 1] = also
  end
  call('HSET', P .. 'ticket:' .. terms.ticket, 'lease', lease)
  call('HSET', P .. 'unit:' .. unit.id, 'state', 'offered', 'lease', lease)
  call('ZADD', P .. 'offers', int(now_ms + OFFER_WINDOW_MS), lease)
  unit.state, unit.lease = 'offered', lease
  event('offered', 'unit', unit.id, 'lease', lease, 'ticket', terms.ticket, 'holder', terms.holder, 'coordinator',
    terms.coordinator, 'priority', terms.priority, 'ttl', terms.ttl, spanning({ also = also }))
  tell_agent(unit.host, message)
  return lease
end

local ticket_names = { 'affinity', unpack(terms_names) }
local function ticket_terms(ticket)
  local terms = fields(ticket_names, call('HMGET', P .. 'ticket:' .. ticket, unpack(ticket_names)))
  terms.ticket = ticket
  return terms
end

-- Units that this script makes free and that have yet to be settled.
local together = {}

-- The unit is free: offer it to the first waiter, hold it back for the first who takes several, or put it among the free.
-- Until the record has settled it is kept apart.
local settle
function settle(unit, after)
  local host = host_record(unit.host)
  if host.suspect == '1' or host.instance == '' then return set_state(unit, 'unheard') end
  if host.cordoned ~= '1' and is_settled then
    local passed
    while true do
      local ticket, queue, score, others = first_waiter(unit, passed)
      if not ticket then break end
      local most = width(queue)
      if most == 1 then
        dequeue(ticket, queue, others)
        return offer(unit, ticket_terms(ticket), after)
      end
      local units, held = within_reach(unit.host, ticket, queue, score, most, unit)
      if #units == most then return offer_several(units, ticket, queue, after, held) end
      if hold_back(units, unit.host, ticket, queue, score, held) then return end
      passed = passed or {}
      passed[queue] = (passed[queue] or 0) + 1
    end
    put_among_free(unit)
  elseif host.cordoned ~= '1' then
    call('ZADD', P .. 'settling', 0, unit.id)
  end
  call('HSET', P .. 'unit:' .. unit.id, 'state', 'free', 'lease', '')
  if unit.state == 'unheard' or unit.state == 'resting' or unit.state == 'reserved' then
    event('unit-state', 'unit', unit.id, 'state', 'free')
  end
  unit.state, unit.lease = 'free', ''
end

-- The units of a lease that is over: each goes to whoever is next.
local function settle_all(lease, record, after)
  if record.also == '' then
    local unit = unit_record(record.unit)
    if unit and unit.lease == lease then settle(unit, after) end
    return
  end
  together = units_of(lease, record)
  while #together > 0 do settle(table.remove(together, 1), after) end
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
    'by', by or '', 'why', why or '', spanning(record))
end

-- The word about an early end: kept for the agent's next heartbeat, in case the message is lost (design §6).
local function mark_ended(lease, token, reason)
  call('HSET', P .. 'ended:' .. host_of(lease), lease, token .. '\31' .. reason)
end

-- A confirmed lease given back before its time: tells the agent, frees the unit.
local function give_back(lease, record, reason, by)
  mark_ended(lease, record.token, reason)
  tell_agent(host_of(lease), { 'end', lease, record.token, reason })
  if record.state == 'ending' then return end -- the agent says when its processes are gone
  remove_lease(lease, record)
  lease_event(reason, lease, record, 'free', by)
  settle_all(lease, record, { lease, record.token })
end

-- Nobody can be told through this host's agent now.
local function is_silent(host)
  local presence = call('ZSCORE', P .. 'hosts', host)
  return not presence or tonumber(presence) < now_ms
end

-- Whether a later heartbeat of this coordinator is known than the one that it names. Each of its connections begins with
-- one, so that a script which names an earlier one was sent on a connection before: it changes nothing.
local function is_late(coordinator, beat) return (tonumber(call('HGET', P .. 'beats', coordinator)) or 0) > tonumber(beat) end

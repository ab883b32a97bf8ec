-- Match: who gets a unit, and the moves of tickets and leases that every state change is made of (design §3, §4).
-- uses: Keys Clock Events Mail
local OFFER_WINDOW_MS = 2000
-- How long units are held back for a request for several at its first attempt, where its coordinator says nothing.
local GATHER_MS = 30000
-- How many of one queue are looked at for a unit that those ahead cannot have now.
local HEADS_LOOKED_AT = 4
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
local unit_names = { 'host', 'kind', 'vram', 'type', 'labels', 'state', 'lease' }
local function unit_record(unit)
  local record = fields(unit_names, call('HMGET', P .. 'unit:' .. unit, unpack(unit_names)))
  record.id = unit
  return record.kind ~= '' and record or nil
end
local function host_of(lease) return string.match(lease, '^([^/]*)/') or '' end
local function unit_of(lease) return string.match(lease, '^([^#]*)#') or '' end
-- How many units of one host a selector takes, all or none.
local function width(selector) return tonumber(string.match(selector, '[?&]count=(%d+)')) or 1 end
-- The last field of an event about a lease that spans several units; nothing for all others.
local function spanning(record)
  if record.also ~= '' then return 'also', record.also end
end

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
-- What all units of a lease are now.
local function mark_units(record, state)
  call('HSET', P .. 'unit:' .. record.unit, 'state', state)
  for id in string.gmatch(record.also, '%S+') do call('HSET', P .. 'unit:' .. id, 'state', state) end
end

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
    elseif name == 'count' then -- of the host, not of a unit
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

local function warm_units(record)
  warm(record.unit, record.affinity)
  for id in string.gmatch(record.also, '%S+') do warm(id, record.affinity) end
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

-- `passed`: how many of each queue cannot have the unit now, nil where nobody was passed over.
local function first_waiter(unit, passed)
  if call('SCARD', P .. 'queues') == 0 then return nil end
  local best, best_score, best_queue
  local function look(selector)
    local at = passed and passed[selector] or 0
    if at == HEADS_LOOKED_AT then return end
    local head = call('ZRANGE', P .. 'queue:' .. selector, at, at, 'WITHSCORES')
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
  return best, best_queue, best_score
end

-- `terms` has terms_names; `after` is {lease, token} of the release that made room, or nil; `others` the further units,
-- or nil.
local function offer(unit, terms, after, others)
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
  local also = ''
  if others then
    local ids = {}
    for i, other in ipairs(others) do
      ids[i] = other.id
      call('HSET', P .. 'unit:' .. other.id, 'state', 'offered', 'lease', lease)
      other.state, other.lease = 'offered', lease
    end
    also = table.concat(ids, ' ')
    for _, value in ipairs({ 'also', also, 'gather', terms.gather }) do record[#record + 1] = value end
    message[#message + 1] = also
  end
  call('HSET', P .. 'lease:' .. lease, unpack(record))
  call('HSET', P .. 'ticket:' .. terms.ticket, 'lease', lease)
  call('HSET', P .. 'unit:' .. unit.id, 'state', 'offered', 'lease', lease)
  call('ZADD', P .. 'offers', now_ms + OFFER_WINDOW_MS, lease)
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

local function set_state(unit, state)
  if unit.state == state and unit.lease == '' then return end
  call('HSET', P .. 'unit:' .. unit.id, 'state', state, 'lease', '')
  event('unit-state', 'unit', unit.id, 'state', state)
  unit.state, unit.lease = state, ''
end

-- What is held back on a host for a request for several units (docs/protocol.md §5), or, without a ticket, how long
-- nothing may be. Nil where neither is the case.
local gathering_names = { 'ticket', 'score', 'units', 'since', 'ends' }
local function gathering(host)
  local record = fields(gathering_names, call('HMGET', P .. 'gather:' .. host, unpack(gathering_names)))
  return record.since ~= '' and record or nil
end
local function write_gathering(host, record)
  call('HSET', P .. 'gather:' .. host, 'ticket', record.ticket, 'score', record.score, 'units', record.units, 'since',
    record.since, 'ends', record.ends)
  call('ZADD', P .. 'gathers', record.ends, host)
  call('HSET', KEYS[1], 'gathers', '1')
  has_gatherings = true
end
local function forget_gathering(host)
  call('DEL', P .. 'gather:' .. host)
  call('ZREM', P .. 'gathers', host)
end
local function held_back(record)
  local found = {}
  for id in string.gmatch(record.units, '%S+') do
    local unit = unit_record(id)
    if unit and unit.state == 'reserved' then found[#found + 1] = unit end
  end
  return found
end

-- Nothing is held back on this host any more, and for as long as it was nothing will be. Returns the units, which are
-- nobody's until they are settled.
local function scatter(host)
  local record = has_gatherings and gathering(host)
  if not record or record.ticket == '' then return {} end
  local units = held_back(record)
  call('HDEL', P .. 'ticket:' .. record.ticket, 'gathers')
  record.ticket, record.score, record.units = '', '', ''
  record.ends = int(2 * now_ms - tonumber(record.since))
  write_gathering(host, record)
  return units
end

-- Units that this script makes free and that have yet to be settled.
local together = {}

-- What this request could have of a host now, `most` units at most: `unit`, where one is given, what is held back for
-- itself or for one behind it, what becomes free in this script, and what is free.
local function within_reach(host, ticket, selector, score, most, unit)
  local found, seen = {}, {}
  local function look(candidate)
    if #found < most and candidate and candidate.host == host and not seen[candidate.id] and meets(candidate, selector) then
      seen[candidate.id] = true
      found[#found + 1] = candidate
    end
  end
  look(unit)
  local held = gathering(host)
  if held and held.ticket ~= '' and (held.ticket == ticket or tonumber(held.score) > score) then
    for _, other in ipairs(held_back(held)) do look(other) end
  end
  for _, other in ipairs(together) do
    -- Somebody ahead may wait for that one: its turn comes when it is settled.
    local _, _, first = first_waiter(other)
    if not first or first >= score then look(other) end
  end
  for _, id in ipairs(call('ZRANGE', P .. 'free:' .. string.match(selector, '^[^/]*') .. '/host=' .. host, 0, -1)) do
    if #found == most then break end
    look(unit_record(id))
  end
  return found, held
end

-- Takes units away from wherever within_reach has found them.
local function claim(units, held)
  local claimed = {}
  for _, unit in ipairs(units) do
    claimed[unit.id] = true
    if unit.state == 'free' then take_from_free(unit) end
  end
  for i = #together, 1, -1 do
    if claimed[together[i].id] then table.remove(together, i) end
  end
  if not held or held.ticket == '' then return end
  local rest = {}
  for id in string.gmatch(held.units, '%S+') do
    if not claimed[id] then rest[#rest + 1] = id end
  end
  held.units = table.concat(rest, ' ')
end

local settle

-- All units that a request for several takes: one offer, one lease.
local function offer_several(units, ticket, selector, after, held)
  local host = units[1].host
  claim(units, held)
  if held and held.ticket == ticket then
    forget_gathering(host)
  elseif held and held.ticket ~= '' then
    write_gathering(host, held)
  end
  table.sort(units, function(a, b) return #a.id < #b.id or (#a.id == #b.id and a.id < b.id) end)
  local known = call('HMGET', P .. 'ticket:' .. ticket, 'gathers', 'gather')
  dequeue(ticket, selector)
  call('HDEL', P .. 'ticket:' .. ticket, 'gathers')
  local terms = ticket_terms(ticket)
  terms.gather = known[2] or ''
  offer(units[1], terms, after, { unpack(units, 2) })
  local rest = {}
  if known[1] and known[1] ~= host then
    rest = scatter(known[1])
  elseif held and held.ticket == ticket then
    rest = held_back(held)
  end
  for _, unit in ipairs(rest) do settle(unit) end
end

-- Whether a host has so many units of what a selector takes, whoever has them now.
local function has_enough(host, selector, most)
  local found = 0
  for id in string.gmatch(host_record(host).units, '%S+') do
    local unit = unit_record(id)
    if unit and meets(unit, selector) then found = found + 1 end
    if found == most then return true end
  end
  return false
end

-- Holds these units of a host back for a request that takes more, where it may: it gathers on one host at a time, a host
-- for one request at a time, the one ahead, and not while the host makes up for the last attempt.
local function hold_back(units, host, ticket, selector, score, held)
  local known = call('HMGET', P .. 'ticket:' .. ticket, 'gathers', 'gather')
  local span = tonumber(known[2]) or GATHER_MS
  if span == 0 or (known[1] and known[1] ~= host) then return false end
  local goes_on = held and held.ticket == ticket
  if not goes_on and not has_enough(host, selector, width(selector)) then return false end
  local since, ends = int(now_ms), int(now_ms + span)
  local others = {}
  if goes_on then
    since, ends = held.since, held.ends
  elseif held and held.ticket ~= '' then
    if tonumber(held.score) <= score then return false end
    call('HDEL', P .. 'ticket:' .. held.ticket, 'gathers')
    since, others = held.since, held_back(held)
  elseif held and tonumber(held.ends) > now_ms then
    return false
  end
  claim(units, nil)
  local ids, reserved = {}, {}
  for i, unit in ipairs(units) do
    ids[i] = unit.id
    reserved[unit.id] = true
    set_state(unit, 'reserved')
  end
  write_gathering(host, { ticket = ticket, score = int(score), units = table.concat(ids, ' '), since = since, ends = ends })
  call('HSET', P .. 'ticket:' .. ticket, 'gathers', host)
  for _, unit in ipairs(others) do
    if not reserved[unit.id] then settle(unit) end
  end
  return true
end

-- The unit is free: offer it to the first waiter, hold it back for the first who takes several, or put it among the free.
-- Until the record has settled it is kept apart.
function settle(unit, after)
  local host = host_record(unit.host)
  if host.suspect == '1' or host.instance == '' then return set_state(unit, 'unheard') end
  if host.cordoned ~= '1' and is_settled then
    local passed
    while true do
      local ticket, queue, score = first_waiter(unit, passed)
      if not ticket then break end
      local most = width(queue)
      if most == 1 then
        dequeue(ticket, queue)
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

-- A request for several units that has been queued: it has them at once where one host has as many, of several hosts one
-- that is warm, else the one whose smallest sufficient units come first. Else it gathers on the host that has most of them.
-- Walks what is free.
local function find_several(terms, most)
  if not is_settled then return false end
  local score = tonumber(terms.score)
  local base, conditions = string.match(terms.selector, '^([^?]*)%??(.*)$')
  local kind, scope = string.match(base, '^([^/]*)/(.*)$')
  local best
  local function try(host)
    local record = host_record(host)
    if record.suspect == '1' or record.cordoned == '1' or record.instance == '' then return false end
    local units, held = within_reach(host, terms.ticket, terms.selector, score, most)
    if #units == most then
      offer_several(units, terms.ticket, terms.selector, nil, held)
      return true
    end
    if #units > (best and #best.units or 0) then best = { host = host, units = units, held = held } end
    return false
  end
  local place = string.match(scope, '^host=(.*)$')
  if place then
    if try(place) then return true end
  else
    if terms.affinity ~= '' then
      for _, id in ipairs(call('ZREVRANGE', P .. 'warm:' .. terms.affinity, 0, WARM_LOOKED_AT - 1)) do
        if call('ZSCORE', P .. 'free:' .. kind, id) and try(host_of(id)) then return true end
      end
      best = nil
    end
    local least = string.match('&' .. conditions, '&vram=(%d+)') or '-inf'
    local counts, enough, fullest, from = {}, {}, nil, 0
    while true do
      local page = call('ZRANGEBYSCORE', P .. 'free:' .. kind, least, '+inf', 'LIMIT', from, 64)
      for _, id in ipairs(page) do
        local record = unit_record(id)
        if record and meets(record, terms.selector) then
          local host = record.host
          counts[host] = (counts[host] or 0) + 1
          if counts[host] == most and try(host) then return true end
          if not fullest or counts[host] > counts[fullest] then
            if enough[host] == nil then enough[host] = has_enough(host, terms.selector, most) end
            if enough[host] then fullest = host end
          end
        end
      end
      if #page < 64 then break end
      from = from + 64
    end
    if fullest and try(fullest) then return true end
  end
  if best then hold_back(best.units, best.host, terms.ticket, terms.selector, score, best.held) end
  return false
end

-- Takes a ticket out of its queue; what is held back for it goes to others.
local function leave(ticket, selector)
  dequeue(ticket, selector)
  if width(selector) == 1 then return end
  local host = call('HGET', P .. 'ticket:' .. ticket, 'gathers')
  if host then
    for _, unit in ipairs(scatter(host)) do settle(unit) end
  end
end

-- A unit that is held back for a request behind this score, taken from it; nil where there is none.
local function reserved_unit(selector, score)
  if not has_gatherings or not is_settled then return nil end
  for _, host in ipairs(call('ZRANGE', P .. 'gathers', 0, 63)) do
    local held = gathering(host)
    if held and held.ticket ~= '' and tonumber(held.score) > score then
      for _, unit in ipairs(held_back(held)) do
        if meets(unit, selector) then
          claim({ unit }, held)
          write_gathering(host, held)
          return unit
        end
      end
    end
  end
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
  settle_all(lease, record, { lease, record.token })
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
  for _, unit in ipairs(scatter(host)) do set_state(unit, 'unheard') end
  for id in string.gmatch(record.units, '%S+') do
    local unit = unit_record(id)
    if unit and unit.state == 'free' then
      take_from_free(unit)
      set_state(unit, 'unheard')
    end
  end
end

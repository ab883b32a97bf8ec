-- Several: requests for several units of one host (docs/protocol.md §5).
-- uses: Keys Clock Events Mail Match
-- How long units are held back for a request for several at its first attempt, where its coordinator says nothing.
local GATHER_MS = 30000

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
  for id in string.gmatch(units_of_host(host), '%S+') do
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

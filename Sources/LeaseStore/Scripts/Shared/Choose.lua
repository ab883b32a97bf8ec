-- Choose: which unit suits a request that says more than its kind or its place.
-- uses: Keys Clock Match

-- Whether a selector takes this unit. What only conditions ask for is read here.
local function meets(unit, selector)
  local base, conditions = string.match(selector, '^([^?]*)%??(.*)$')
  local kind = unit.kind
  if base ~= kind .. '/any' and base ~= kind .. '/host=' .. unit.host and base ~= kind .. '/unit=' .. unit.id then
    return false
  end
  for name, value in string.gmatch(conditions, '([^=&]+)=([^&]*)') do
    if name == 'vram' then
      if (tonumber(unit.vram) or 0) < tonumber(value) then return false end
    elseif name ~= 'count' then -- that is of the host, not of a unit
      if not unit.labels then
        local more = call('HMGET', P .. 'unit:' .. unit.id, 'type', 'labels')
        unit.type, unit.labels = more[1] or '', more[2] or ''
      end
      if name == 'type' then
        if unit.type ~= value then return false end
      elseif not string.find(unit.labels, ',' .. string.sub(name, 7) .. '=' .. value .. ',', 1, true) then
        return false
      end
    end
  end
  return true
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
local function chosen_unit(selector, affinity)
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
  local least, from = string.match('&' .. conditions, '&vram=(%d+)') or '-inf', 0
  local most = conditions == '' and 1 or 64 -- the first one meets a selector without conditions
  while true do
    local page = call('ZRANGEBYSCORE', set, least, '+inf', 'LIMIT', from, most)
    for _, id in ipairs(page) do
      local record = unit_record(id)
      if record and meets(record, selector) then return record end
    end
    if #page < most then return nil end
    from = from + most
  end
end

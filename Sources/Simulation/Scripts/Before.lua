-- Stands before each script of the pool: gives it the virtual clock, and hands its messages and expiring keys to the
-- simulator instead of to Redis. KEYS 2 is TIME in µs, KEYS 3… are keys whose time to live is over.
local mail, expiries = {}, {}
local real = redis.call
for i = 3, #KEYS do real('DEL', KEYS[i]) end
local prefix = string.sub(KEYS[1], 1, -6)
local others = {
  TIME = function()
    local seconds = math.floor(KEYS[2] / 1000000)
    return { seconds, KEYS[2] - seconds * 1000000 }
  end,
  PUBLISH = function(channel, bytes)
    mail[#mail + 1] = string.sub(channel, #prefix + 4)
    mail[#mail + 1] = bytes
    return 0
  end,
  SET = function(key, value, unit, life)
    if unit then
      expiries[#expiries + 1] = key
      expiries[#expiries + 1] = unit == 'EX' and life * 1000 or tonumber(life)
    end
    return real('SET', key, value)
  end,
  -- Its own ids are made of the server's wall clock. Behind the last entry where the virtual clock has gone back.
  XADD = function(key, limit, about, most, _, ...)
    local id = redis.pcall('XADD', key, limit, about, most, string.format('%d-*', math.floor(KEYS[2] / 1000)), ...)
    if type(id) == 'string' then return id end
    local last = real('XREVRANGE', key, '+', '-', 'COUNT', 1)[1]
    return real('XADD', key, limit, about, most, string.match(last[1], '^%d+') .. '-*', ...)
  end,
  EXPIRE = function(key, life)
    expiries[#expiries + 1] = key
    expiries[#expiries + 1] = life * 1000
    return 1
  end,
  DEL = function(key, ...)
    if string.sub(key, #prefix + 1, #prefix + 6) == 'ended:' then
      expiries[#expiries + 1] = key
      expiries[#expiries + 1] = 0
    end
    return real('DEL', key, ...)
  end,
  -- Sets have an order of their own in each server process.
  SMEMBERS = function(key)
    local members = real('SMEMBERS', key)
    table.sort(members)
    return members
  end,
  SRANDMEMBER = function(key, most)
    local members = real('SMEMBERS', key)
    table.sort(members)
    while #members > most do members[#members] = nil end
    return members
  end,
}
local redis = {
  sha1hex = redis.sha1hex,
  call = function(name, ...)
    local other = others[name]
    if other then return other(...) end
    return real(name, ...)
  end,
}
local function script()
